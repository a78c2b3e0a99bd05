//! The texts of the login: the credentials line of a client, and the replies of the server.

use crate::{
    secret::Secret,
    ticket::{TICKET_PREFIX, Ticket, TicketFormError},
    username::{UserName, UserNameError},
};

/// The reply to a successful login, as one text message. The line break is CR LF.
pub const CONGRATULATION: &str =
    "congratulation, you have connect with server\r\nnow, you can do something else";

/// The reply to a failed login.
pub const SORRY: &str = "sorry, the username or password is wrong, please submit again";

/// The word by which a client recognises a successful login in a server's text.
const SUCCESS_WORD: &str = "congratulation";

/// The greatest length of a credentials line, in bytes. A longer line is a failed attempt.
pub const MAX_CREDENTIALS_BYTES: usize = 1024;

/// Returns true if a server's text reports a successful login.
pub fn is_congratulation(text: &str) -> bool {
    text.contains(SUCCESS_WORD)
}

/// A user name and password, as presented at a login.
#[derive(Debug)]
pub struct Credentials {
    /// The user name.
    pub name: UserName,
    /// The password.
    pub password: Secret,
}

impl Credentials {
    /// Parses a line `username:password`. The first `:` separates the two, so a password may contain
    /// `:`. Both are normalised to NFC. Nothing is trimmed.
    ///
    /// # Errors
    ///
    /// A line over [`MAX_CREDENTIALS_BYTES`] in NFC, no `:`, an empty password, or an invalid name.
    pub fn parse(line: &str) -> Result<Self, CredentialsError> {
        let line = Secret::password(line);
        let line = line.expose();
        if line.len() > MAX_CREDENTIALS_BYTES {
            return Err(CredentialsError::TooLong);
        }
        let (name, password) = line.split_once(':').ok_or(CredentialsError::NoColon)?;
        if password.is_empty() {
            return Err(CredentialsError::NoPassword);
        }
        Ok(Self {
            name: UserName::parse(name)?,
            password: Secret::password(password),
        })
    }

    /// Returns the line that [`Credentials::parse`] reads.
    pub fn line(&self) -> Secret {
        Secret::new(format!("{}:{}", self.name, self.password.expose()))
    }
}

/// Credentials of a login: a name with its password, or a ticket.
#[derive(Debug)]
pub enum LoginCredentials {
    /// A name and a password.
    Password(Credentials),
    /// A ticket.
    Ticket(Ticket),
}

impl LoginCredentials {
    /// Parses a credentials line: `username:password`, or `:` and a ticket. A name is never empty, so
    /// no line is both.
    ///
    /// # Errors
    ///
    /// A malformed ticket, or anything that [`Credentials::parse`] refuses.
    pub fn parse(line: &str) -> Result<Self, CredentialsError> {
        match line.strip_prefix(':') {
            Some(ticket) if ticket.starts_with(TICKET_PREFIX) => {
                Ok(Self::Ticket(Ticket::parse(ticket)?))
            }
            Some(_) | None => Credentials::parse(line).map(Self::Password),
        }
    }
}

/// A malformed credentials line. A server does not tell its peer which of these it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CredentialsError {
    /// The line is longer than [`MAX_CREDENTIALS_BYTES`].
    #[error("credentials have at most {MAX_CREDENTIALS_BYTES} bytes")]
    TooLong,
    /// The line has no `:`.
    #[error("credentials are written as username:password")]
    NoColon,
    /// The password is empty.
    #[error("the password is empty")]
    NoPassword,
    /// The name is invalid.
    #[error(transparent)]
    Name(#[from] UserNameError),
    /// The line begins as a ticket, and is none.
    #[error(transparent)]
    Ticket(#[from] TicketFormError),
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{
        CONGRATULATION, Credentials, CredentialsError, MAX_CREDENTIALS_BYTES, SORRY,
        is_congratulation,
    };
    use crate::{text::nfc, username::UserNameError};

    #[test]
    fn replies_match_protocol_bytes() {
        assert_eq!(
            CONGRATULATION.as_bytes(),
            b"congratulation, you have connect with server\r\nnow, you can do something else"
        );
        assert_eq!(
            SORRY.as_bytes(),
            b"sorry, the username or password is wrong, please submit again"
        );
        assert!(is_congratulation(CONGRATULATION));
        assert!(!is_congratulation(SORRY));
    }

    #[test]
    fn line_split_at_first_colon_untrimmed() {
        for (line, name, password) in [
            ("admin:123456", "admin", "123456"),
            ("admin:123456:x", "admin", "123456:x"),
            ("admin::", "admin", ":"),
            ("admin: 123456 ", "admin", " 123456 "),
            ("admin:123456\n", "admin", "123456\n"),
        ] {
            let credentials = Credentials::parse(line).unwrap();
            assert_eq!(credentials.name.as_str(), name);
            assert_eq!(credentials.password.expose(), password);
        }
    }

    #[test]
    fn malformed_line_refused() {
        let too_long = format!("admin:{}", "x".repeat(MAX_CREDENTIALS_BYTES));
        for (line, error) in [
            ("", CredentialsError::NoColon),
            ("admin", CredentialsError::NoColon),
            ("admin:", CredentialsError::NoPassword),
            (":", CredentialsError::NoPassword),
            (":123456", CredentialsError::Name(UserNameError::Empty)),
            (
                " admin:123456",
                CredentialsError::Name(UserNameError::OuterSpace),
            ),
            (too_long.as_str(), CredentialsError::TooLong),
        ] {
            assert_eq!(Credentials::parse(line).unwrap_err(), error, "{line:?}");
        }
    }

    /// Former fault: the same password in NFC and NFD was two passwords.
    #[test]
    fn name_and_password_normalised_to_nfc() {
        let decomposed = Credentials::parse("jose\u{301}:cafe\u{301}").unwrap();
        assert_eq!(decomposed.line().expose(), "jos\u{e9}:caf\u{e9}");
        // The length counts after the normalisation.
        let line = format!("a:{}", "e\u{301}".repeat(MAX_CREDENTIALS_BYTES / 2 - 1));
        assert!(Credentials::parse(&line).is_ok());
    }

    #[test]
    fn line_of_maximum_length_accepted() {
        let line = format!("admin:{}", "x".repeat(MAX_CREDENTIALS_BYTES - 6));
        assert_eq!(line.len(), MAX_CREDENTIALS_BYTES);
        assert_eq!(Credentials::parse(&line).unwrap().line().expose(), line);
    }

    proptest! {
        #[test]
        fn parsed_line_prints_in_nfc(line in any::<String>()) {
            if let Ok(credentials) = Credentials::parse(&line) {
                let printed = credentials.line();
                prop_assert_eq!(printed.expose(), &*nfc(&line));
            }
        }
    }
}
