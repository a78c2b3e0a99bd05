//! The normal form of a request path (RFC 3986 section 6.2.2).

use std::borrow::Cow;

/// A path that has no normal form, or whose normal form could be taken for another path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a path begins with `/` and has no `//`, no `.` or `..` segment, no malformed percent-encoding, \
     and no encoded `/`, `\\` or NUL"
)]
pub struct PathError;

/// Returns the normal form of a path. Two spellings of one path have the same: percent-encodings are
/// in upper case, unreserved characters are decoded, and all other characters that a path cannot
/// contain are encoded.
///
/// # Errors
///
/// A text without a leading `/`; a `?`, `#`, `\` or control character; an empty, `.` or `..` segment; a malformed
/// percent-encoding; an encoded `/`, `\` or NUL. Some software decodes these and takes them for
/// another path, so no route and no room has them.
pub fn normalize_path(path: &str) -> Result<Cow<'_, str>, PathError> {
    let normal = if path.bytes().all(is_path_byte) {
        Cow::Borrowed(path)
    } else {
        Cow::Owned(encode(path)?)
    };
    let mut segments = normal.strip_prefix('/').ok_or(PathError)?.split('/');
    // The last segment may be empty: `/room/` is a path of its own.
    let last = segments.next_back().unwrap_or_default();
    let is_dots = |segment: &str| matches!(segment, "." | "..");
    if is_dots(last) || segments.any(|segment| segment.is_empty() || is_dots(segment)) {
        return Err(PathError);
    }
    Ok(normal)
}

fn encode(path: &str) -> Result<String, PathError> {
    let mut normal = String::with_capacity(path.len());
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => match decode(bytes.next(), bytes.next())? {
                b'/' | b'\\' | 0 => return Err(PathError),
                decoded if is_unreserved(decoded) => normal.push(decoded.into()),
                decoded => push_encoded(&mut normal, decoded),
            },
            b'?' | b'#' | b'\\' => return Err(PathError),
            byte if byte.is_ascii_control() => return Err(PathError),
            byte if is_path_byte(byte) => normal.push(byte.into()),
            byte => push_encoded(&mut normal, byte),
        }
    }
    Ok(normal)
}

fn decode(high: Option<u8>, low: Option<u8>) -> Result<u8, PathError> {
    let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
    let (high, low) = digit(high).zip(digit(low)).ok_or(PathError)?;
    u8::try_from(high * 16 + low).map_err(|_| PathError)
}

fn push_encoded(path: &mut String, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    path.push('%');
    path.push(DIGITS[usize::from(byte >> 4)].into());
    path.push(DIGITS[usize::from(byte & 0xf)].into());
}

/// Returns true for an unreserved character (RFC 3986 section 2.3).
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

/// Returns true for a byte that a path contains as it is (RFC 3986 section 3.3).
fn is_path_byte(byte: u8) -> bool {
    is_unreserved(byte) || b"/!$&'()*+,;=:@".contains(&byte)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{PathError, normalize_path};

    /// Former fault: other spellings of a room were other rooms, and a message to them reached no member.
    #[test]
    fn spellings_of_one_path_normalised() {
        for (path, normal) in [
            ("/", "/"),
            ("/room/", "/room/"),
            ("/room/lobby", "/room/lobby"),
            ("/room/%6Cobby", "/room/lobby"),
            ("/%72oom/lobby", "/room/lobby"),
            ("/room/caf%C3%A9", "/room/caf%C3%A9"),
            ("/room/caf%c3%a9", "/room/caf%C3%A9"),
            ("/room/café", "/room/caf%C3%A9"),
            ("/room/a|b", "/room/a%7Cb"),
            ("/room/a%7cb", "/room/a%7Cb"),
            ("/room/a b", "/room/a%20b"),
            // Reserved characters may have another meaning if they are encoded.
            ("/room/a%2cb", "/room/a%2Cb"),
            ("/room/a,b", "/room/a,b"),
            ("/room/a%252fb", "/room/a%252fb"),
            ("/room/...", "/room/..."),
        ] {
            assert_eq!(normalize_path(path).as_deref(), Ok(normal), "{path}");
        }
    }

    #[test]
    fn ambiguous_or_malformed_path_refused() {
        for path in [
            "",
            "room",
            "//",
            "/room//lobby",
            "//room",
            "/.",
            "/..",
            "/./a",
            "/a/../b",
            "/a/.",
            "/%2e",
            "/a/%2E%2e/b",
            "/a%2Fb",
            "/a%2fb",
            "/a%5cb",
            "/a\\b",
            "/a%00",
            "/a\0",
            "/a%",
            "/a%4",
            "/a%4g",
            "/%é",
            "/a?b",
            "/a#b",
            "/a\n",
        ] {
            assert_eq!(normalize_path(path), Err(PathError), "{path:?}");
        }
    }

    proptest! {
        #[test]
        fn normal_form_is_stable_ascii(path in "/[a%2C3~é/.|]{0,12}") {
            if let Ok(normal) = normalize_path(&path) {
                prop_assert!(normal.is_ascii());
                prop_assert_eq!(normalize_path(&normal), Ok(normal.clone()));
            }
        }
    }
}
