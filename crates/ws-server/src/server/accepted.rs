//! Accepted connections.

use std::{net::SocketAddr, sync::Arc};

use http::{header::HOST, request::Parts};
use tokio::time::Instant;

use crate::{
    admission::ConnectionPermit, peer::ConnectionId, request_head::RequestScheme,
    server::state::ServerState, settings::Settings,
};

/// A connection that was accepted and holds a permit.
#[derive(Debug)]
pub(crate) struct AcceptedConnection {
    /// The id in the log.
    pub(crate) id: ConnectionId,
    /// The TCP peer.
    pub(crate) peer: SocketAddr,
    /// The address that the TCP peer connected to, if it is known.
    pub(crate) local: Option<SocketAddr>,
    /// The scheme, which is HTTPS after the TLS handshake.
    pub(crate) scheme: RequestScheme,
    /// The permit, which holds its slot.
    pub(crate) permit: ConnectionPermit,
    /// The settings that apply until the login.
    pub(crate) settings: Arc<Settings>,
    /// The deadline for the TLS and HTTP handshakes together.
    pub(crate) deadline: Instant,
}

impl AcceptedConnection {
    /// Creates the connection of this peer. Its deadline starts now.
    pub(crate) fn new(peer: SocketAddr, permit: ConnectionPermit, state: &ServerState) -> Self {
        let settings = state.current.load();
        Self {
            id: state.registry.next_id(),
            peer,
            local: None,
            scheme: RequestScheme::Http,
            permit,
            deadline: Instant::now() + settings.limits.handshake_deadline,
            settings,
        }
    }
    /// Returns true if `Host` is a name of this server, or comes from a proxy, which may send any name.
    pub(super) fn admits_host(&self, head: &Parts, state: &ServerState) -> bool {
        let settings = &self.settings;
        let host = head.headers.get(HOST).and_then(|host| host.to_str().ok());
        let is_admitted = |host| settings.server_names.admit(host, state.reach);
        settings.proxies.trusts(self.peer.ip()) || host.is_some_and(is_admitted)
    }
}
