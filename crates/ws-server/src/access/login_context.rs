//! The origin of a login attempt: address, connection and method.

use std::{fmt, net::IpAddr};

use crate::peer::ConnectionId;

/// The origin of a login attempt.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LoginContext {
    /// The address whose failure budget a failed attempt counts against.
    pub(crate) address: IpAddr,
    /// The connection that carried the attempt.
    pub(crate) connection: ConnectionId,
    /// The login method.
    pub(crate) method: LoginMethod,
}

/// A login method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LoginMethod {
    /// A text message after the upgrade.
    Message,
    /// The Basic scheme in the HTTP request (RFC 7617).
    Basic,
    /// A ticket, in any of the places for credentials.
    Ticket,
}

impl LoginMethod {
    /// All methods, for tables.
    pub(crate) const ALL: [Self; 3] = [Self::Message, Self::Basic, Self::Ticket];

    /// Returns the name for logs and metrics.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::Basic => "basic",
            Self::Ticket => "ticket",
        }
    }
}

impl fmt::Display for LoginMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
