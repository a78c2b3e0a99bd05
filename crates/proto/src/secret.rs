//! A text that must not leak.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use subtle::{Choice, ConstantTimeEq};
use zeroize::Zeroizing;

/// A password, or a line that holds one.
///
/// It has no `Display`, `Serialize`, `Deref`, `PartialEq` or `Clone`, its `Debug` is redacted, and
/// its memory is zeroed when it is dropped. Whoever needs the text says so with
/// [`Secret::expose`], which makes each such place easy to find.
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes ownership of a text that must not leak.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The text itself.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether the text has no characters at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `guess` is this very text, in a time that depends on the length of the guess alone.
    pub fn matches(&self, guess: &Secret) -> bool {
        let (secret, guess) = (self.0.as_bytes(), guess.0.as_bytes());
        let mut equal = secret.len().ct_eq(&guess.len());
        // Each byte of the guess is compared with some byte, wherever the secret ends.
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

/// Accepts a string, and refuses everything else without repeating it: the stock message of serde
/// for `password = 123456` quotes the number.
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
    fn debug_shows_nothing_of_the_text() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "Secret(***)");
    }

    #[test]
    fn matches_only_the_very_text() {
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
    fn a_value_that_is_no_string_is_refused_without_repeating_it() {
        #[derive(Debug, Deserialize)]
        struct File {
            #[expect(dead_code, reason = "only the refusal is looked at")]
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
        fn agrees_with_plain_equality(a in "\\PC{0,12}", b in "\\PC{0,12}") {
            prop_assert_eq!(Secret::new(a.clone()).matches(&Secret::new(b.clone())), a == b);
            prop_assert!(Secret::new(a.clone()).matches(&Secret::new(a)));
        }
    }
}
