//! Who is at the other end of a connection.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
};

/// The other end of a connection, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    /// The other end of the stream.
    Direct(SocketAddr),
    /// The one that a trusted proxy speaks for.
    Forwarded(IpAddr),
}

impl Peer {
    /// The address that counts against limits and budgets.
    pub(crate) fn address(self) -> IpAddr {
        match self {
            Self::Direct(peer) => peer.ip(),
            Self::Forwarded(client) => client,
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Direct(peer) => peer.fmt(f),
            Self::Forwarded(client) => client.fmt(f),
        }
    }
}
