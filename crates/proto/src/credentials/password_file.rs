//! The password file of a client.

use crate::secret::Secret;

/// Reads a password file, which holds the password on its only line. The password is normalised to
/// NFC. [`decode`](crate::text::decode) has removed a byte order mark.
///
/// # Errors
///
/// An empty file, or more than one line.
pub fn password_from_file(text: &str) -> Result<Secret, PasswordFileError> {
    let line = text.strip_suffix('\n').unwrap_or(text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    if line.is_empty() {
        Err(PasswordFileError::Empty)
    } else if line.contains('\n') {
        Err(PasswordFileError::ManyLines)
    } else {
        Ok(Secret::password(line))
    }
}

/// A malformed password file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordFileError {
    /// The file is empty.
    #[error("it is empty; write the password into it, on one line")]
    Empty,
    /// The file has more than one line.
    #[error("it has more than one line; write only the password into it")]
    ManyLines,
}

#[cfg(test)]
mod tests {
    use super::{PasswordFileError, password_from_file};

    #[test]
    fn password_file_of_one_line_accepted() {
        for text in ["pass word", "pass word\n", "pass word\r\n"] {
            assert_eq!(password_from_file(text).unwrap().expose(), "pass word");
        }
        let decomposed = password_from_file("cafe\u{301}\n").unwrap();
        assert_eq!(decomposed.expose(), "caf\u{e9}");
        assert_eq!(
            password_from_file("\n").unwrap_err(),
            PasswordFileError::Empty
        );
        assert_eq!(
            password_from_file("").unwrap_err(),
            PasswordFileError::Empty
        );
        assert_eq!(
            password_from_file("a\nb\n").unwrap_err(),
            PasswordFileError::ManyLines
        );
    }
}
