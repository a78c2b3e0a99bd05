//! A connection at its beginning.

use std::{net::SocketAddr, sync::Arc};

use tokio::time::Instant;

use crate::{
    admission::Permit, peer::ConnectionId, server::state::ServerState, settings::Settings,
};

/// A connection that was just accepted, and has a place.
#[derive(Debug)]
pub(crate) struct AcceptedConnection {
    /// What tells it from all others in the log.
    pub(crate) id: ConnectionId,
    /// The other end of the stream.
    pub(crate) peer: SocketAddr,
    /// Its place.
    pub(crate) permit: Permit,
    /// What holds for it up to its login.
    pub(crate) settings: Arc<Settings>,
    /// When its handshakes must be over: one deadline for all of them, however many there are.
    pub(crate) deadline: Instant,
}

impl AcceptedConnection {
    /// The connection of this peer, which begins now.
    pub(crate) fn new(peer: SocketAddr, permit: Permit, state: &ServerState) -> Self {
        let settings = state.current.load();
        Self {
            id: state.registry.next_id(),
            peer,
            permit,
            deadline: Instant::now() + settings.limits.handshake_deadline,
            settings,
        }
    }
}
