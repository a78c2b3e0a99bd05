//! The words of the login: the line that a client sends, and the replies to it.

use crate::{
    secret::Secret,
    username::{UserName, UserNameError},
};

/// The reply to a right login, as one text message. The line break inside is CR LF.
pub const CONGRATULATION: &str =
    "congratulation, you have connect with server\r\nnow, you can do something else";

/// The reply to anything else.
pub const SORRY: &str = "sorry, the username or password is wrong, please submit again";

/// The word by which a client knows that it is logged in, whatever else the server says.
const SUCCESS_WORD: &str = "congratulation";

/// The greatest length of a credentials line, in bytes. A longer one is a wrong try.
pub const MAX_CREDENTIALS_BYTES: usize = 1024;

/// Whether a server's text says that the login was right.
pub fn is_congratulation(text: &str) -> bool {
    text.contains(SUCCESS_WORD)
}

/// A user's name and password, as presented to log in with.
#[derive(Debug)]
pub struct Credentials {
    /// Who wants to log in.
    pub name: UserName,
    /// What is to prove it.
    pub password: Secret,
}

impl Credentials {
    /// Reads a line `username:password`. It is split at the first `:`, so a password may hold more
    /// of them; nothing is trimmed.
    pub fn parse(line: &str) -> Result<Self, CredentialsError> {
        if line.len() > MAX_CREDENTIALS_BYTES {
            return Err(CredentialsError::TooLong);
        }
        let (name, password) = line.split_once(':').ok_or(CredentialsError::NoColon)?;
        if password.is_empty() {
            return Err(CredentialsError::NoPassword);
        }
        Ok(Self {
            name: UserName::parse(name)?,
            password: Secret::new(password),
        })
    }

    /// The line that [`Credentials::parse`] reads.
    pub fn line(&self) -> Secret {
        Secret::new(format!("{}:{}", self.name, self.password.expose()))
    }
}

/// Why a line holds no credentials. A server does not tell its peer which of these it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CredentialsError {
    /// The line has more than [`MAX_CREDENTIALS_BYTES`] bytes.
    #[error("credentials have at most {MAX_CREDENTIALS_BYTES} bytes")]
    TooLong,
    /// Nothing separates a name from a password.
    #[error("credentials are written as username:password")]
    NoColon,
    /// Nothing follows the first `:`.
    #[error("the password is empty")]
    NoPassword,
    /// What stands before the first `:` is not a name.
    #[error(transparent)]
    Name(#[from] UserNameError),
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{
        CONGRATULATION, Credentials, CredentialsError, MAX_CREDENTIALS_BYTES, SORRY,
        is_congratulation,
    };
    use crate::username::UserNameError;

    #[test]
    fn replies_are_the_pinned_bytes() {
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
    fn splits_at_the_first_colon_and_trims_nothing() {
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
    fn refuses_what_is_not_a_name_and_a_password() {
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

    #[test]
    fn takes_a_line_of_the_greatest_length() {
        let line = format!("admin:{}", "x".repeat(MAX_CREDENTIALS_BYTES - 6));
        assert_eq!(line.len(), MAX_CREDENTIALS_BYTES);
        assert_eq!(Credentials::parse(&line).unwrap().line().expose(), line);
    }

    proptest! {
        #[test]
        fn what_was_parsed_prints_as_it_came(line in any::<String>()) {
            if let Ok(credentials) = Credentials::parse(&line) {
                let printed = credentials.line();
                prop_assert_eq!(printed.expose(), line.as_str());
            }
        }
    }
}
