//! The principal of a session: a user or a guest.

use std::fmt;

use proto::{credentials::Identity, username::UserName};

use crate::{access::login_context::LoginMethod, peer::ConnectionId};

/// The principal of a session.
#[derive(Debug, Clone)]
pub enum Principal {
    /// A user who has logged in.
    User(Identity),
    /// A guest on a public route, identified by the connection.
    Guest(ConnectionId),
}

impl Principal {
    /// Returns the login method, or `None` for a guest. `by_password` is that of a login by password.
    pub(crate) fn login_method(&self, by_password: LoginMethod) -> Option<LoginMethod> {
        match self {
            Self::User(identity) if identity.is_by_ticket() => Some(LoginMethod::Ticket),
            Self::User(_) => Some(by_password),
            Self::Guest(_) => None,
        }
    }

    /// Returns the user's name, or `None` for a guest.
    pub fn user(&self) -> Option<&UserName> {
        match self {
            Self::User(identity) => Some(identity.user()),
            Self::Guest(_) => None,
        }
    }
}

impl fmt::Display for Principal {
    /// Writes a unique name: `guest:` cannot be part of a user name, which has no `:`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(identity) => identity.user().fmt(f),
            Self::Guest(connection) => write!(f, "guest:{connection}"),
        }
    }
}
