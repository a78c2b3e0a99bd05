//! The peer of a connection.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
};

/// The peer of a connection: the TCP peer, or the client that a trusted proxy reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    /// The TCP peer.
    Direct(SocketAddr),
    /// The client address that a trusted proxy reports.
    Forwarded(IpAddr),
}

impl Peer {
    /// Returns the address for limits and budgets.
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
