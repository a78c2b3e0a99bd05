//! A handle to a running server, used by reload and the admin interface.

use std::sync::Arc;

use http::uri::PathAndQuery;
use proto::{close::CloseReason, credentials::Accounts, username::UserName};

use crate::{
    config::Config,
    metrics::ReloadResult,
    peer::ConnectionId,
    registry::ConnectionEntry,
    server::{scrape::ScrapeSnapshot, state::ServerState},
    tls::{CurrentTls, Tls},
};

/// A handle to a running server.
#[derive(Debug, Clone)]
pub struct ServerHandle {
    tls: Option<Arc<CurrentTls>>,
    state: Arc<ServerState>,
}

impl ServerHandle {
    /// Creates a handle to the server with this state, and with this TLS if it is on.
    pub(crate) fn new(tls: Option<Arc<CurrentTls>>, state: Arc<ServerState>) -> Self {
        Self { tls, state }
    }

    /// Has the server go on with another configuration and other accounts, and ends the sessions
    /// of those whose credentials are no longer what they logged in with. Returns how many these
    /// are.
    ///
    /// Of the configuration, the address, the threads and the hashing stay as they were at the
    /// start. Limits and service of the connections that are there stay the same.
    pub fn reload(&self, config: Config, accounts: Accounts) -> usize {
        let ended = self.state.reload(config, accounts);
        self.state.metrics.reloaded(ReloadResult::Ok);
        ended
    }

    /// Has new connections speak TLS by another certificate, if the server speaks TLS. Those that
    /// are there stay as they are.
    pub fn replace_tls(&self, tls: Tls) {
        if let Some(current) = &self.tls {
            current.replace(tls);
        }
    }

    /// Notes that the files were read again and could not be used.
    pub(crate) fn note_failed_reload(&self) {
        self.state.metrics.reloaded(ReloadResult::Failed);
    }

    /// Everything that is counted and watched, as Prometheus reads it, where so many lines of the log
    /// were lost.
    pub(crate) fn metrics(&self, lost_lines: u64) -> String {
        let state = &self.state;
        state.metrics.encode(ScrapeSnapshot {
            connections: state.admission.stats(),
            traffic: state.registry.traffic(),
            hashing: state.verifier.hashing_stats(),
            rooms: state.hub.stats(),
            lost_lines,
            certificate_expiry: self.tls.as_ref().and_then(|tls| tls.load().expiry()),
        })
    }

    /// Returns true if the server accepts new connections.
    pub(crate) fn is_ready(&self) -> bool {
        !self.state.drain.is_cancelled()
    }

    /// Returns every open session.
    pub(crate) fn sessions(&self) -> Vec<(ConnectionId, Arc<ConnectionEntry>)> {
        self.state.registry.sessions()
    }

    /// Ends one connection. Returns what is known of it, unless it is not there or is ending
    /// already.
    pub(crate) fn kick(&self, id: ConnectionId) -> Option<Arc<ConnectionEntry>> {
        let entry = self.state.registry.get(id)?;
        entry.end(CloseReason::Kicked).then_some(entry)
    }

    /// Takes the login of a user back until the accounts next change: all sessions of that user
    /// end, and there is no new one. Returns how many sessions these are; none if there is no such
    /// user.
    pub(crate) fn revoke(&self, user: &UserName) -> Option<usize> {
        self.state.revoke(user)
    }

    /// Publishes a text in a room, if there is one at this path.
    pub(crate) fn publish(&self, path: &str, from: &str, text: &str) -> Result<(), PublishError> {
        let settings = self.state.current.load();
        // A text that no request could name as its path is one at which nobody is.
        let is_path = PathAndQuery::try_from(path).is_ok_and(|it| it.path() == path);
        let route = settings.handshake.routes.find(path).filter(|_| is_path);
        let route = route.filter(|route| route.service.accepts_posts());
        let route = route.ok_or(PublishError::NoRoom)?;
        if text.is_empty() || text.len() > settings.max_message_bytes(route) {
            return Err(PublishError::Length {
                most: settings.max_message_bytes(route),
            });
        }
        route
            .service
            .publish(&self.state.hub, &path.into(), from, text);
        Ok(())
    }
}

/// Why a text was not published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PublishError {
    /// No route with a room has this path.
    #[error("there is no room at this path")]
    NoRoom,
    /// The text is empty, or longer than a message may be there.
    #[error("a text has 1 to {most} bytes here")]
    Length {
        /// How long it may be.
        most: usize,
    },
}
