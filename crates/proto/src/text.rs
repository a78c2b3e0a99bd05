//! Text from other systems: byte order marks, encodings, and Unicode normalisation.

use std::borrow::Cow;

// Replaces a table of compositions of our own. `icu_normalizer` was refused: it brings a data crate
// and a dozen others for the one form that is used.
use unicode_normalization::{IsNormalized, UnicodeNormalization as _, is_nfc_quick};
use zeroize::{Zeroize as _, Zeroizing};

/// The byte order mark in UTF-8. Editors and shells of Windows write it at the start of a file.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// Returns the bytes after a leading byte order mark. A mark at any other place is kept.
pub fn without_byte_order_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes)
}

/// Decodes the content of a text file, without a leading byte order mark.
///
/// # Errors
///
/// The content is not UTF-8. It is zeroed, because it may hold a secret.
pub fn decode(mut bytes: Vec<u8>) -> Result<String, EncodingError> {
    if bytes.starts_with(BYTE_ORDER_MARK) {
        // In place: a copy would leave a secret in memory.
        bytes.drain(..BYTE_ORDER_MARK.len());
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let mut bytes = error.into_bytes();
        let found = match check_not_utf16(&bytes) {
            Err(utf16) => utf16,
            Ok(()) => EncodingError::NotUtf8 {
                line: bytes[..valid].split(|byte| *byte == b'\n').count(),
            },
        };
        bytes.zeroize();
        found
    })
}

/// Checks that there is no byte order mark of UTF-16, which some shells write by default.
pub(crate) fn check_not_utf16(bytes: &[u8]) -> Result<(), EncodingError> {
    match bytes {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Err(EncodingError::Utf16),
        _ => Ok(()),
    }
}

/// A text that is not UTF-8.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EncodingError {
    /// The text begins with a byte order mark of UTF-16.
    #[error("this is UTF-16; save the file as UTF-8")]
    Utf16,
    /// A byte is not UTF-8.
    #[error("line {line}: this is not UTF-8 (it may be Latin-1); save the file as UTF-8")]
    NotUtf8 {
        /// The line of the first such byte, counted from 1.
        line: usize,
    },
}

/// Normalises a name or a password to NFC (RFC 8265, RFC 7617 section 2.1). So a letter with an
/// accent is the same text on every keyboard and system.
pub fn nfc(text: &str) -> Cow<'_, str> {
    if is_nfc_quick(text.chars()) == IsNormalized::Yes {
        return Cow::Borrowed(text);
    }
    // A character is at most three times as long after it (UAX #15 section 9). Growth would leave a
    // copy of a secret in memory.
    let mut normalised = Zeroizing::new(String::with_capacity(3 * text.len()));
    normalised.extend(text.nfc());
    Cow::Owned(std::mem::take(&mut *normalised))
}

#[cfg(test)]
mod tests {
    use super::{EncodingError, decode, nfc, without_byte_order_mark};

    /// A byte order mark is skipped at the very start, and only there.
    #[test]
    fn byte_order_mark_skipped_at_start_only() {
        for (written, read) in [
            ("\u{feff}secret", "secret"),
            ("\u{feff}", ""),
            ("secret\u{feff}", "secret\u{feff}"),
            ("\u{feff}\u{feff}secret", "\u{feff}secret"),
            ("", ""),
        ] {
            assert_eq!(decode(written.into()).unwrap(), read, "{written:?}");
            let bytes = without_byte_order_mark(written.as_bytes());
            assert_eq!(bytes, read.as_bytes(), "{written:?}");
        }
    }

    /// Latin-1 bytes in a configuration are reported with their line.
    #[test]
    fn other_encoding_reported_with_line() {
        for (bytes, error) in [
            (
                &b"a = 1\nb = \"caf\xe9\"\n"[..],
                EncodingError::NotUtf8 { line: 2 },
            ),
            (b"\xef\xbb\xbf\xff", EncodingError::NotUtf8 { line: 1 }),
            (b"\xff\xfea\0", EncodingError::Utf16),
            (b"\xfe\xff\0a", EncodingError::Utf16),
        ] {
            assert_eq!(decode(bytes.into()), Err(error), "{bytes:?}");
        }
    }

    #[test]
    fn decomposed_text_composed() {
        for (text, normalised) in [
            ("e\u{301}", "\u{e9}"),
            ("\u{e9}", "\u{e9}"),
            ("plain", "plain"),
            // Ohm sign, and marks in another order.
            ("\u{2126}", "\u{3a9}"),
            ("a\u{302}\u{323}", "\u{1ead}"),
            // Compatibility characters stay: NFC, not NFKC.
            ("\u{fb01}", "\u{fb01}"),
        ] {
            assert_eq!(nfc(text), normalised, "{text:?}");
        }
    }
}
