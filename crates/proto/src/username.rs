//! User names.

use std::fmt;

use serde::Serialize;

use crate::{escape, text::nfc};

/// The validated name of an account.
///
/// A name has 1 to 64 characters, no `:` (which ends the name in a credentials line), no control
/// or bidirectional characters, and no space at either end. It is normalised to NFC first. Then
/// names are compared by bytes: nothing is trimmed and case matters.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct UserName(Box<str>);

impl UserName {
    /// The greatest length of a name, in characters.
    pub const MAX_CHARS: usize = 64;

    /// Normalises a text to NFC, and validates it as a name.
    ///
    /// # Errors
    ///
    /// The first rule that the text breaks.
    pub fn parse(text: &str) -> Result<Self, UserNameError> {
        let text = &*nfc(text);
        if text.is_empty() {
            Err(UserNameError::Empty)
        } else if text.chars().count() > Self::MAX_CHARS {
            Err(UserNameError::TooLong)
        } else if text.contains(':') {
            Err(UserNameError::Colon)
        } else if text.chars().any(escape::is_unsafe) {
            Err(UserNameError::Control)
        } else if text.trim().len() != text.len() {
            Err(UserNameError::OuterSpace)
        } else {
            Ok(Self(text.into()))
        }
    }

    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// The rule that a text breaks as a [`UserName`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UserNameError {
    /// The text is empty.
    #[error("a name has at least one character")]
    Empty,
    /// The text is longer than [`UserName::MAX_CHARS`].
    #[error("a name has at most {} characters", UserName::MAX_CHARS)]
    TooLong,
    /// The text contains a `:`.
    #[error("a name holds no `:`, which separates it from the password")]
    Colon,
    /// The text contains a control or bidirectional character.
    #[error("a name holds no control or bidirectional characters")]
    Control,
    /// The text begins or ends with a space.
    #[error("a name has no space at either end")]
    OuterSpace,
}

#[cfg(test)]
mod tests {
    use super::{UserName, UserNameError};

    #[test]
    fn name_of_1_to_64_characters_accepted() {
        let longest = "ü".repeat(64);
        for name in [
            "a",
            "admin",
            "Jane Doe",
            "张三",
            "a@example.org",
            longest.as_str(),
        ] {
            assert_eq!(UserName::parse(name).unwrap().as_str(), name);
        }
    }

    #[test]
    fn invalid_name_refused() {
        let too_long = "a".repeat(65);
        for (name, error) in [
            ("", UserNameError::Empty),
            (too_long.as_str(), UserNameError::TooLong),
            ("a:b", UserNameError::Colon),
            ("a\nb", UserNameError::Control),
            ("a\u{202e}b", UserNameError::Control),
            ("\u{9b}", UserNameError::Control),
            (" a", UserNameError::OuterSpace),
            ("a\u{a0}", UserNameError::OuterSpace),
        ] {
            assert_eq!(UserName::parse(name), Err(error), "{name:?}");
        }
    }

    #[test]
    fn names_compared_by_bytes() {
        assert_ne!(UserName::parse("Admin"), UserName::parse("admin"));
    }

    /// Former fault: the same name in NFC and NFD was two names.
    #[test]
    fn composed_and_decomposed_name_equal() {
        assert_eq!(UserName::parse("\u{e9}"), UserName::parse("e\u{301}"));
        // The length counts after the normalisation.
        assert!(UserName::parse(&"e\u{301}".repeat(64)).is_ok());
    }
}
