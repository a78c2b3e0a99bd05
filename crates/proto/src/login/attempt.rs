//! One try to log in, whichever way it came, and what came of it.

use std::time::Duration;

use crate::{credentials::Identity, message::Credentials};

/// A try to log in.
#[derive(Debug)]
pub enum Attempt {
    /// With a name and a password, which are to be checked.
    Credentials(Credentials),
    /// With something that holds no name and password. There is nothing to check, and it counts as
    /// a wrong try.
    Malformed,
}

impl<E> From<Result<Credentials, E>> for Attempt {
    fn from(parsed: Result<Credentials, E>) -> Self {
        parsed.map_or(Self::Malformed, Self::Credentials)
    }
}

/// What came of a try to log in.
#[derive(Debug)]
pub enum LoginVerdict {
    /// The credentials are right, and belong to this user.
    Accepted(Identity),
    /// They are not. Which part of them is wrong, nobody is told.
    Rejected,
    /// They were not looked at: too many tries from this address were wrong.
    Throttled {
        /// How long it takes until they would be.
        retry_after: Duration,
    },
    /// They were not looked at: too many tries are being checked already.
    Busy,
    /// They are right, but this user has no right to what the login is for.
    Forbidden,
}

/// A message that a client sent before it was logged in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoginMessage<'a> {
    /// A text message.
    Text(&'a str),
    /// A binary message, which never holds credentials.
    Binary,
}

impl From<LoginMessage<'_>> for Attempt {
    /// A text is read as a line `username:password`.
    fn from(message: LoginMessage<'_>) -> Self {
        match message {
            LoginMessage::Text(line) => Credentials::parse(line).into(),
            LoginMessage::Binary => Self::Malformed,
        }
    }
}
