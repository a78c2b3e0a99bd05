//! Credentials in the `Authorization` field of an HTTP request: the Basic scheme (RFC 7617).

use base64::{Engine as _, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

use crate::{
    message::{Credentials, CredentialsError},
    secret::Secret,
};

/// The name of the scheme, which is read in any case (RFC 9110 section 11.1).
const SCHEME: &str = "Basic";

/// The value of an `Authorization` field that presents these credentials.
pub fn authorization(credentials: &Credentials) -> Secret {
    let line = credentials.line();
    let encoded = Zeroizing::new(STANDARD.encode(line.expose()));
    Secret::new(format!("{SCHEME} {}", *encoded))
}

/// Reads the value of an `Authorization` field. The name and the password are UTF-8, are split at
/// the first `:`, and obey what [`Credentials::parse`] demands.
pub fn parse_authorization(value: &[u8]) -> Result<Credentials, AuthorizationError> {
    let space = value
        .iter()
        .position(|byte| *byte == b' ')
        .ok_or(AuthorizationError::Scheme)?;
    let (scheme, encoded) = value.split_at(space);
    if !scheme.eq_ignore_ascii_case(SCHEME.as_bytes()) {
        return Err(AuthorizationError::Scheme);
    }
    let line = STANDARD
        .decode(encoded.trim_ascii())
        .map(Zeroizing::new)
        .map_err(|_| AuthorizationError::Encoding)?;
    let line = std::str::from_utf8(&line).map_err(|_| AuthorizationError::Encoding)?;
    Ok(Credentials::parse(line)?)
}

/// Why the value of an `Authorization` field holds no credentials. A server does not tell its peer
/// which of these it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuthorizationError {
    /// It is of another scheme.
    #[error("the scheme is not Basic")]
    Scheme,
    /// What follows the scheme is not base64 of UTF-8.
    #[error("the credentials are not base64 of UTF-8")]
    Encoding,
    /// What was encoded is not a name and a password.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{AuthorizationError, authorization, parse_authorization};
    use crate::{
        message::{Credentials, CredentialsError},
        username::UserNameError,
    };

    #[test]
    fn writes_and_reads_the_examples_of_the_rfc() {
        for (line, value) in [
            ("Aladdin:open sesame", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),
            ("test:123\u{a3}", "Basic dGVzdDoxMjPCow=="),
        ] {
            let credentials = Credentials::parse(line).unwrap();
            assert_eq!(authorization(&credentials).expose(), value);
            let read = parse_authorization(value.as_bytes()).unwrap();
            assert_eq!(read.line().expose(), line);
        }
    }

    #[test]
    fn the_scheme_is_read_in_any_case_and_with_spaces_behind_it() {
        for value in [
            "basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
            "BASIC   QWxhZGRpbjpvcGVuIHNlc2FtZQ== ",
        ] {
            let read = parse_authorization(value.as_bytes()).unwrap();
            assert_eq!(read.name.as_str(), "Aladdin", "{value}");
        }
    }

    #[test]
    fn refuses_what_holds_no_credentials() {
        for (value, error) in [
            ("", AuthorizationError::Scheme),
            ("Basic", AuthorizationError::Scheme),
            ("Bearer QWxhZGRpbg==", AuthorizationError::Scheme),
            ("BasicQ WxhZGRpbg==", AuthorizationError::Scheme),
            ("Basic ?", AuthorizationError::Encoding),
            // Without its padding.
            (
                "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ",
                AuthorizationError::Encoding,
            ),
            // Not UTF-8, as a client that writes ISO 8859-1 sends it.
            ("Basic dGVzdDoxMjOj", AuthorizationError::Encoding),
            (
                "Basic ",
                AuthorizationError::Credentials(CredentialsError::NoColon),
            ),
            (
                "Basic QWxhZGRpbjo=",
                AuthorizationError::Credentials(CredentialsError::NoPassword),
            ),
            (
                "Basic OnNlc2FtZQ==",
                AuthorizationError::Credentials(CredentialsError::Name(UserNameError::Empty)),
            ),
        ] {
            let read = parse_authorization(value.as_bytes());
            assert_eq!(read.unwrap_err(), error, "{value:?}");
        }
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(line in "\\PC{1,20}:.{1,40}") {
            if let Ok(credentials) = Credentials::parse(&line) {
                let value = authorization(&credentials);
                let read = parse_authorization(value.expose().as_bytes()).unwrap();
                let read = read.line();
                prop_assert_eq!(read.expose(), line);
            }
        }

        #[test]
        fn nothing_makes_the_reader_panic(value in any::<Vec<u8>>()) {
            let _ = parse_authorization(&value);
        }
    }
}
