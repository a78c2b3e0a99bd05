//! Credentials in the `Authorization` field of an HTTP request (RFC 9110 section 11.6.2): the Basic
//! scheme (RFC 7617), and the Bearer scheme (RFC 6750) for tickets.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

use crate::{
    message::{Credentials, CredentialsError, LoginCredentials},
    secret::Secret,
    ticket::{Ticket, TicketFormError},
};

/// The name of the scheme of passwords, compared without case (RFC 9110 section 11.1).
const SCHEME: &str = "Basic";

/// The name of the scheme of tickets (RFC 6750 section 2.1).
const BEARER: &str = "Bearer";

/// Returns the value of an `Authorization` field with these credentials (RFC 7617 section 2).
pub fn authorization(credentials: &Credentials) -> Secret {
    let line = credentials.line();
    let encoded = Zeroizing::new(STANDARD.encode(line.expose()));
    Secret::new(format!("{SCHEME} {}", *encoded))
}

/// Parses the value of an `Authorization` field. With Basic, the decoded bytes must be UTF-8 (RFC 7617
/// section 2.1), and [`LoginCredentials::parse`] reads them. With Bearer, the token is a ticket.
///
/// # Errors
///
/// Another scheme, invalid base64 or UTF-8, or anything that [`LoginCredentials::parse`] refuses.
pub fn parse_authorization(value: &[u8]) -> Result<LoginCredentials, AuthorizationError> {
    let space = value
        .iter()
        .position(|byte| *byte == b' ')
        .ok_or(AuthorizationError::Scheme)?;
    let (scheme, encoded) = value.split_at(space);
    let encoded = encoded.trim_ascii();
    if scheme.eq_ignore_ascii_case(BEARER.as_bytes()) {
        let token = std::str::from_utf8(encoded).map_err(|_| AuthorizationError::Encoding)?;
        return Ok(LoginCredentials::Ticket(Ticket::parse(token)?));
    }
    if !scheme.eq_ignore_ascii_case(SCHEME.as_bytes()) {
        return Err(AuthorizationError::Scheme);
    }
    let line = STANDARD
        .decode(encoded)
        .map(Zeroizing::new)
        .map_err(|_| AuthorizationError::Encoding)?;
    let line = std::str::from_utf8(&line).map_err(|_| AuthorizationError::Encoding)?;
    Ok(LoginCredentials::parse(line)?)
}

/// A malformed `Authorization` field. A server does not tell its peer which of these it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuthorizationError {
    /// The scheme is neither Basic nor Bearer.
    #[error("the scheme is neither Basic nor Bearer")]
    Scheme,
    /// The token after the scheme is not base64 of UTF-8.
    #[error("the credentials are not base64 of UTF-8")]
    Encoding,
    /// The token after Bearer is not a ticket.
    #[error(transparent)]
    Ticket(#[from] TicketFormError),
    /// The decoded text is not a name and a password.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use proptest::prelude::*;

    use super::{AuthorizationError, authorization};
    use crate::{
        message::{Credentials, CredentialsError, LoginCredentials},
        secret::Secret,
        text::nfc,
        ticket::TicketFormError,
        username::UserNameError,
    };

    /// A ticket that names `jane`, with a MAC of zeros.
    const TICKET: &str = "wst1.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAamFuZQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

    /// Parses the value of a field with a name and a password.
    fn parse_authorization(value: &[u8]) -> Result<Credentials, AuthorizationError> {
        super::parse_authorization(value).map(|credentials| match credentials {
            LoginCredentials::Password(credentials) => credentials,
            LoginCredentials::Ticket(ticket) => panic!("a ticket of {}", ticket.user()),
        })
    }

    #[test]
    fn ticket_accepted_in_either_scheme() {
        let in_basic = Secret::new(format!(":{TICKET}"));
        let in_basic = STANDARD.encode(in_basic.expose());
        for value in [
            format!("Bearer {TICKET}"),
            format!("bearer   {TICKET} "),
            format!("Basic {in_basic}"),
        ] {
            match super::parse_authorization(value.as_bytes()) {
                Ok(LoginCredentials::Ticket(ticket)) => {
                    assert_eq!(ticket.user().as_str(), "jane");
                    assert_eq!(ticket.text().expose(), TICKET);
                }
                other => panic!("{value}: {other:?}"),
            }
        }
        for value in [
            "Bearer ".to_owned(),
            "Bearer QWxhZGRpbg==".to_owned(),
            format!("Bearer :{TICKET}"),
            format!("Bearer {TICKET} {TICKET}"),
        ] {
            let error = AuthorizationError::Ticket(TicketFormError);
            assert_eq!(parse_authorization(value.as_bytes()).unwrap_err(), error);
        }
    }

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
            ("Digest QWxhZGRpbg==", AuthorizationError::Scheme),
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
            let _ = super::parse_authorization(&value);
        }
    }
}
