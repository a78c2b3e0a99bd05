//! A token of the Bearer scheme (RFC 6750).

use proto::secret::Secret;

/// The name of the scheme.
pub(super) const BEARER: &str = "Bearer";

/// The longest token that is sent. Servers bound the request head, often to 8 KiB.
const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// A bearer token.
#[derive(Debug)]
pub struct BearerToken(Secret);

impl BearerToken {
    /// Parses the content of a token file: one line of visible ASCII characters.
    ///
    /// # Errors
    ///
    /// The text is no such line, or longer than 8 KiB. The error quotes nothing of it.
    pub fn parse(text: &str) -> Result<Self, BearerTokenError> {
        let line = text.strip_suffix('\n').unwrap_or(text);
        let token = line.strip_suffix('\r').unwrap_or(line);
        if token.is_empty() {
            Err(BearerTokenError::Empty)
        } else if token.len() > MAX_TOKEN_BYTES {
            Err(BearerTokenError::TooLong)
        } else if token.bytes().all(|byte| byte.is_ascii_graphic()) {
            Ok(Self(Secret::new(token)))
        } else {
            Err(BearerTokenError::Characters)
        }
    }

    /// Returns the value of an `Authorization` field (RFC 6750 section 2.1).
    pub(super) fn authorization(&self) -> Secret {
        Secret::new([BEARER, " ", self.0.expose()].concat())
    }
}

/// The reason why a text is no bearer token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BearerTokenError {
    /// The text is empty.
    #[error("it is empty; write the token into it, on one line")]
    Empty,
    /// The token is too long for a request head.
    #[error("the token has more than {MAX_TOKEN_BYTES} bytes, which no server accepts")]
    TooLong,
    /// A space, a line break, or another character that is not visible ASCII.
    #[error("the token is one line without spaces; write only the token into it")]
    Characters,
}

#[cfg(test)]
mod tests {
    use super::{BearerToken, BearerTokenError, MAX_TOKEN_BYTES};

    #[test]
    fn token_of_one_line_is_sent_as_given() {
        for text in ["a.b-c/d+e==", "a.b-c/d+e==\n", "a.b-c/d+e==\r\n"] {
            let token = BearerToken::parse(text).unwrap();
            assert_eq!(token.authorization().expose(), "Bearer a.b-c/d+e==");
            assert!(!format!("{token:?}").contains("a.b"));
        }
    }

    #[test]
    fn malformed_token_is_refused() {
        let long = "x".repeat(MAX_TOKEN_BYTES + 1);
        for (text, error) in [
            ("", BearerTokenError::Empty),
            ("\n", BearerTokenError::Empty),
            (&long, BearerTokenError::TooLong),
            ("a b", BearerTokenError::Characters),
            ("a\nb\n", BearerTokenError::Characters),
            ("Bearer a", BearerTokenError::Characters),
            ("a\u{e9}", BearerTokenError::Characters),
        ] {
            assert_eq!(BearerToken::parse(text).unwrap_err(), error, "{text:?}");
        }
        assert!(BearerToken::parse(&long[1..]).is_ok());
    }
}
