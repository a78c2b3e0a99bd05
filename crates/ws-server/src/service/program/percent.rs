//! The percent-encodings of a path.

/// Decodes the percent-encodings of a path in normal form, which has no malformed ones.
pub(super) fn decoded(path: &str) -> Vec<u8> {
    let mut bytes = path.bytes();
    let mut decoded = Vec::with_capacity(path.len());
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let mut digit = || char::from(bytes.next()?).to_digit(16);
        let value = digit().and_then(|high| Some(16 * high + digit()?));
        decoded.extend(value.and_then(|value| u8::try_from(value).ok()));
    }
    decoded
}
