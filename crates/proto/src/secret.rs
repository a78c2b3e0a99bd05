//! Secret text: redacted in output and zeroed on drop.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use subtle::{Choice, ConstantTimeEq};
use zeroize::Zeroizing;

use crate::text::nfc;

/// A password, or a text that contains one.
///
/// It has no `Display`, `Serialize`, `Deref`, `PartialEq` or `Clone`. Its `Debug` is redacted, and
/// its memory is zeroed on drop. Only [`Secret::expose`] returns the text, so each use is easy to
/// find.
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes ownership of a secret text. A `&str` is copied, and only the copy is zeroed on drop.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// Creates a password: the text in NFC.
    pub fn password(text: &str) -> Self {
        Self::new(nfc(text))
    }

    /// Returns the text.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Returns true if the text is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns true if `guess` is equal. The time depends only on the length of `guess`.
    pub fn matches(&self, guess: &Secret) -> bool {
        let (secret, guess) = (self.0.as_bytes(), guess.0.as_bytes());
        let mut equal = secret.len().ct_eq(&guess.len());
        // Each byte of the guess is compared, even beyond the end of the secret.
        let mut cycled = secret.iter().cycle();
        for byte in guess {
            equal &= cycled
                .next()
                .map_or(Choice::from(0), |expected| expected.ct_eq(byte));
        }
        equal.into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_string(SecretVisitor)
    }
}

/// A visitor that accepts a string only, and never quotes the value: serde's default error for
/// `password = 123456` contains the number.
struct SecretVisitor;

const NOT_A_STRING: &str = "a secret must be a string in quotes";

impl<'de> Visitor<'de> for SecretVisitor {
    type Value = Secret;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string in quotes")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Secret, E> {
        Ok(Secret::new(text))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Secret, E> {
        Ok(Secret::new(text))
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Secret, E> {
        Err(E::custom(NOT_A_STRING))
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Secret, E> {
        Err(E::custom(NOT_A_STRING))
    }

    fn visit_i128<E: Error>(self, _: i128) -> Result<Secret, E> {
        Err(E::custom(NOT_A_STRING))
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Secret, E> {
        Err(E::custom(NOT_A_STRING))
    }

    fn visit_u128<E: Error>(self, _: u128) -> Result<Secret, E> {
        Err(E::custom(NOT_A_STRING))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Secret, E> {
        Err(E::custom(NOT_A_STRING))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<Secret, A::Error> {
        Err(A::Error::custom(NOT_A_STRING))
    }

    fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<Secret, A::Error> {
        Err(A::Error::custom(NOT_A_STRING))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Deserialize;

    use super::Secret;

    #[test]
    fn debug_shows_no_text() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "Secret(***)");
    }

    #[test]
    fn matches_only_equal_text() {
        let secret = Secret::new("123456");
        assert!(secret.matches(&Secret::new("123456")));
        for guess in [
            "",
            "1",
            "12345",
            "1234567",
            "123456\0",
            "123456123456",
            "12345６",
        ] {
            assert!(!secret.matches(&Secret::new(guess)), "{guess:?}");
        }
        assert!(!Secret::new("").matches(&Secret::new("x")));
        assert!(Secret::new("").matches(&Secret::new("")));
    }

    #[test]
    fn non_string_refused_without_quoting_it() {
        #[derive(Debug, Deserialize)]
        struct File {
            #[expect(dead_code, reason = "only the error is checked")]
            password: Secret,
        }
        for value in [
            "98765",
            "-98765",
            "9876.5",
            "true",
            "[98765]",
            "{ x = 98765 }",
            "2026-01-01",
        ] {
            let error = toml::from_str::<File>(&format!("password = {value}")).unwrap_err();
            assert!(
                error.message().contains("string in quotes"),
                "{value}: {}",
                error.message()
            );
            assert!(!error.message().contains("98765"), "{}", error.message());
        }
    }

    proptest! {
        #[test]
        fn matches_agrees_with_equality(a in "\\PC{0,12}", b in "\\PC{0,12}") {
            prop_assert_eq!(Secret::new(a.clone()).matches(&Secret::new(b.clone())), a == b);
            prop_assert!(Secret::new(a.clone()).matches(&Secret::new(a)));
        }
    }
}
