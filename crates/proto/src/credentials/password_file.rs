//! A file with a password in it, for a client.

use crate::secret::Secret;

/// Reads a password file: its first line is the password, and there is nothing else in it.
pub fn password_from_file(text: &str) -> Result<Secret, PasswordFileError> {
    let line = text.strip_suffix('\n').unwrap_or(text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    if line.is_empty() {
        Err(PasswordFileError::Empty)
    } else if line.contains('\n') {
        Err(PasswordFileError::ManyLines)
    } else {
        Ok(Secret::new(line))
    }
}

/// Why a file does not hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordFileError {
    /// There is nothing in it.
    #[error("it is empty; write the password into it, on one line")]
    Empty,
    /// There is more than one line in it.
    #[error("it has more than one line; write only the password into it")]
    ManyLines,
}

#[cfg(test)]
mod tests {
    use super::{PasswordFileError, password_from_file};

    #[test]
    fn a_password_file_is_one_line() {
        for text in ["pass word", "pass word\n", "pass word\r\n"] {
            assert_eq!(password_from_file(text).unwrap().expose(), "pass word");
        }
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
