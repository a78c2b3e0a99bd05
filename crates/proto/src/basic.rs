//! Credentials in the `Authorization` field of an HTTP request: the Basic scheme (RFC 7617, RFC
//! 9110 section 11.6.2).

use base64::{Engine as _, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

use crate::{
    message::{Credentials, CredentialsError},
    secret::Secret,
};

/// The name of the scheme, compared without case (RFC 9110 section 11.1).
const SCHEME: &str = "Basic";

/// Returns the value of an `Authorization` field with these credentials (RFC 7617 section 2).
pub fn authorization(credentials: &Credentials) -> Secret {
    let line = credentials.line();
    let encoded = Zeroizing::new(STANDARD.encode(line.expose()));
    Secret::new(format!("{SCHEME} {}", *encoded))
}

/// Parses the value of an `Authorization` field (RFC 7617 section 2). The decoded bytes must be
/// UTF-8 (section 2.1); [`Credentials::parse`] splits them at the first `:`.
///
/// # Errors
///
/// Another scheme, invalid base64 or UTF-8, or anything that [`Credentials::parse`] refuses.
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

/// A malformed `Authorization` field. A server does not tell its peer which of these it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuthorizationError {
    /// The scheme is not Basic.
    #[error("the scheme is not Basic")]
    Scheme,
    /// The token after the scheme is not base64 of UTF-8.
    #[error("the credentials are not base64 of UTF-8")]
    Encoding,
    /// The decoded text is not a name and a password.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{AuthorizationError, authorization, parse_authorization};
    use crate::{
        message::{Credentials, CredentialsError},
        text::nfc,
        username::UserNameError,
    };

    #[test]
    fn rfc_examples_round_trip() {
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
    fn scheme_any_case_or_extra_spaces_accepted() {
        for value in [
            "basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
            "BASIC   QWxhZGRpbjpvcGVuIHNlc2FtZQ== ",
        ] {
            let read = parse_authorization(value.as_bytes()).unwrap();
            assert_eq!(read.name.as_str(), "Aladdin", "{value}");
        }
    }

    #[test]
    fn malformed_field_refused() {
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
            // ISO 8859-1, which is not UTF-8.
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
        fn written_credentials_parse_back(line in "\\PC{1,20}:.{1,40}") {
            if let Ok(credentials) = Credentials::parse(&line) {
                let value = authorization(&credentials);
                let read = parse_authorization(value.expose().as_bytes()).unwrap();
                let read = read.line();
                prop_assert_eq!(read.expose(), &*nfc(&line));
            }
        }

        #[test]
        fn arbitrary_bytes_never_panic(value in any::<Vec<u8>>()) {
            let _ = parse_authorization(&value);
        }
    }
}
