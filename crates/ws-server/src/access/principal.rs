//! Who is at the other end of a session.

use std::fmt;

use proto::{credentials::Identity, username::UserName};

use crate::peer::ConnectionId;

/// Whom a session is served for.
#[derive(Debug, Clone)]
pub enum Principal {
    /// A user who has logged in.
    User(Identity),
    /// Somebody on a route that asks nobody who they are, known by the connection.
    Guest(ConnectionId),
}

impl Principal {
    /// The user's name, if there is a user.
    pub fn user(&self) -> Option<&UserName> {
        match self {
            Self::User(identity) => Some(identity.user()),
            Self::Guest(_) => None,
        }
    }
}

impl fmt::Display for Principal {
    /// Writes a name that nobody else can have: those of users hold no `:`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(identity) => identity.user().fmt(f),
            Self::Guest(connection) => write!(f, "guest:{connection}"),
        }
    }
}
