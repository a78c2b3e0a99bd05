//! Whoever tries to log in, before it is known who that is.

use std::{fmt, net::IpAddr};

use crate::peer::ConnectionId;

/// Where a try to log in comes from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LoginContext {
    /// The address that the try counts against.
    pub(crate) address: IpAddr,
    /// The connection that it came by.
    pub(crate) connection: ConnectionId,
    /// How it came.
    pub(crate) method: LoginMethod,
}

/// The ways to log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum LoginMethod {
    /// By a first message.
    Message,
    /// With an HTTP request, by Basic.
    Basic,
}

impl LoginMethod {
    /// All ways, for tables.
    pub(crate) const ALL: [Self; 2] = [Self::Message, Self::Basic];

    /// Its name, for logs and metrics.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::Basic => "basic",
        }
    }
}

impl fmt::Display for LoginMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
