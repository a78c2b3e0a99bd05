//! One login attempt, by any method, and its verdict.

use std::time::Duration;

use crate::{
    credentials::Identity,
    message::{Credentials, LoginCredentials},
    ticket::Ticket,
};

/// A login attempt.
#[derive(Debug)]
pub enum Attempt {
    /// A name and a password to verify.
    Credentials(Credentials),
    /// A ticket to verify.
    Ticket(Ticket),
    /// Input without a valid name and password, and without a ticket. It counts as a failed attempt.
    Malformed,
}

impl<E> From<Result<LoginCredentials, E>> for Attempt {
    fn from(parsed: Result<LoginCredentials, E>) -> Self {
        match parsed {
            Ok(LoginCredentials::Password(credentials)) => Self::Credentials(credentials),
            Ok(LoginCredentials::Ticket(ticket)) => Self::Ticket(ticket),
            Err(_) => Self::Malformed,
        }
    }
}

/// The result of a login attempt.
#[derive(Debug)]
pub enum LoginVerdict {
    /// The credentials are right and belong to this identity.
    Accepted(Identity),
    /// The credentials are wrong. The client does not learn if the name or the password is.
    Rejected,
    /// Not verified: too many attempts from this address have failed.
    Throttled {
        /// The time until the next attempt is verified.
        retry_after: Duration,
    },
    /// Not verified: too many attempts are being verified already.
    Busy {
        /// The time after which the client should try again, in seconds.
        back_in: u16,
    },
    /// The credentials are right, but the route does not admit this user.
    Forbidden,
}

/// A message that a client sends before it is logged in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoginMessage<'a> {
    /// A text message.
    Text(&'a str),
    /// A binary message, which never holds credentials.
    Binary,
}

impl From<LoginMessage<'_>> for Attempt {
    /// Parses a text as a credentials line. One line break at its end is ignored, because websocat
    /// sends it with each line.
    fn from(message: LoginMessage<'_>) -> Self {
        match message {
            LoginMessage::Text(text) => {
                let line = text
                    .strip_suffix('\n')
                    .map_or(text, |line| line.strip_suffix('\r').unwrap_or(line));
                LoginCredentials::parse(line).into()
            }
            LoginMessage::Binary => Self::Malformed,
        }
    }
}
