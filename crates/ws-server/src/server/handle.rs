//! A handle to a running server, used by reload and the admin interface.

use std::sync::Arc;

use proto::{close::CloseReason, credentials::Accounts, username::UserName};

use crate::{
    access::{Reach, Revocations, normalize_path},
    config::{Config, SaveError},
    metrics::ReloadResult,
    peer::ConnectionId,
    registry::ConnectionEntry,
    route::Route,
    server::{scrape::ScrapeSnapshot, state::ServerState},
    service::{NotPublished, Unrestricted},
    settings::Settings,
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

    /// Replaces the configuration and the accounts, and ends the sessions whose login or access is
    /// no longer valid. Returns their number.
    ///
    /// The address, the threads and the hashing policy stay as they were at start-up. Open sessions
    /// keep their limits and their service.
    pub fn reload(&self, config: Config, accounts: Accounts) -> usize {
        let ended = self.state.reload(config, accounts);
        self.state.metrics.reloaded(ReloadResult::Ok);
        ended
    }

    /// Uses another certificate for new connections, if TLS is on. Open connections keep theirs.
    pub fn replace_tls(&self, tls: Tls) {
        if let Some(current) = &self.tls {
            current.replace(tls);
        }
    }

    /// Counts a failed reload.
    pub(crate) fn note_failed_reload(&self) {
        self.state.metrics.reloaded(ReloadResult::Failed);
    }

    /// Returns all metrics in the Prometheus text format. `lost_lines` is the number of lost log lines.
    pub(crate) fn metrics(&self, lost_lines: u64) -> String {
        let state = &self.state;
        state.metrics.encode(ScrapeSnapshot {
            connections: state.admission.stats(),
            traffic: state.registry.traffic(),
            hashing: state.verifier.hashing_stats(),
            buffers: state.registry.budget().stats(),
            rooms: state.hub.stats(),
            programs: state.programs.stats(),
            lost_lines,
            certificate_expiry: self.tls.as_ref().and_then(|tls| tls.load().expiry()),
        })
    }

    /// Returns true if the admin interface, which is on loopback, answers to this `Host`.
    pub(crate) fn admits_admin_host(&self, host: &str) -> bool {
        let settings = self.state.current.load();
        settings.server_names.admit(host, Reach::Loopback)
    }

    /// Returns true if the server accepts new connections.
    pub(crate) fn is_ready(&self) -> bool {
        !self.state.drain.is_cancelled()
    }

    /// Returns every open session.
    pub(crate) fn sessions(&self) -> Vec<(ConnectionId, Arc<ConnectionEntry>)> {
        self.state.registry.sessions()
    }

    /// Ends one connection. Returns its entry, or `None` if it is not open or is ending already.
    pub(crate) fn kick(&self, id: ConnectionId) -> Option<Arc<ConnectionEntry>> {
        let entry = self.state.registry.get(id)?;
        entry.end(CloseReason::Kicked).then_some(entry)
    }

    /// Makes the drain that follows announce that the server starts again.
    pub(crate) fn announce_restart(&self) {
        self.state.announce_restart();
    }

    /// Returns the number of users in force.
    pub(crate) fn count_users(&self) -> usize {
        self.state.current.load().accounts.users().len()
    }

    /// Returns the number of users in force that these accounts do not have.
    pub(crate) fn count_removed_users(&self, accounts: &Accounts) -> usize {
        let settings = self.state.current.load();
        let users = settings.accounts.users();
        users.filter(|user| !accounts.has(user)).count()
    }

    /// Puts revocations of an earlier process in force, except those whose credential has changed
    /// since. It is meant for the time before the first connection: no session ends.
    pub(crate) fn restore(&self, revocations: Revocations) {
        self.state.restore(revocations);
    }

    /// Revokes the logins of a user until the user's credential changes or [`ServerHandle::allow`]:
    /// ends all sessions of the user, and refuses new logins. Returns the number of sessions, or
    /// `None` if there is no such user. The salt must be random.
    pub(crate) fn revoke(&self, user: &UserName, by: &str, salt: [u8; 16]) -> Option<usize> {
        self.state.revoke(user, by, salt)
    }

    /// Ends the revocation of a user's logins. Returns false if they were not revoked.
    pub(crate) fn allow(&self, user: &UserName) -> bool {
        self.state.allow(user)
    }

    /// Returns the revocations in force.
    pub(crate) fn revocations(&self) -> Arc<Revocations> {
        Arc::clone(&self.state.current.load().revocations)
    }

    /// Writes the revocations in force to their file, unless it has them already. Returns `None` if
    /// no file is configured: a restart then forgets them.
    ///
    /// # Errors
    ///
    /// The file cannot be written, or not within a deadline.
    pub(crate) async fn save_revocations(&self) -> Option<Result<(), SaveError>> {
        self.state.save_revocations().await
    }

    /// Publishes a text in a room, whose path is normalised as that of a request.
    ///
    /// # Errors
    ///
    /// No room has this path, the text is empty or too long, or members read too slowly.
    pub(crate) async fn publish(
        &self,
        path: &str,
        from: &str,
        text: &str,
    ) -> Result<(), PublishError> {
        let settings = self.state.current.load();
        let (route, path) = find_room(&settings, path).ok_or(PublishError::NoRoom)?;
        let most = settings.max_message_bytes(route);
        if text.is_empty() || text.len() > most {
            return Err(PublishError::Length { most });
        }
        let publish = route
            .service
            .publish(&self.state.hub, &path, from, text, most, Unrestricted);
        publish.await.map_err(|reason| match reason {
            // `Revoked` is unreachable: an operator is unrestricted.
            NotPublished::Busy | NotPublished::Revoked => PublishError::Busy,
            NotPublished::TooLong => PublishError::EscapedLength { most },
        })
    }

    /// Drops the history of a room, whose path is normalised as that of a request. Returns the number
    /// of its messages, or `None` if no room has this path.
    pub(crate) fn purge(&self, path: &str) -> Option<usize> {
        let settings = self.state.current.load();
        let (_, path) = find_room(&settings, path)?;
        Some(self.state.hub.purge(&path))
    }
}

/// Returns the route of a room, and the normal form of its path.
fn find_room<'s>(settings: &'s Settings, path: &str) -> Option<(&'s Route, Arc<str>)> {
    let path = normalize_path(path).ok()?;
    let route = settings.handshake.routes.find(&path)?;
    let is_room = route.service.accepts_posts();
    is_room.then(|| (&**route, route.pattern.to_arc(&path)))
}

/// The reason why a text was not published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PublishError {
    /// No route of a room matches the path.
    #[error("there is no room at this path")]
    NoRoom,
    /// The text is empty, or exceeds the maximum message length of the route.
    #[error("the text must have 1 to {most} bytes")]
    Length {
        /// The maximum length, in bytes.
        most: usize,
    },
    /// The escaped text exceeds the maximum message length of the route.
    #[error("the text must have at most {most} bytes after control characters are escaped")]
    EscapedLength {
        /// The maximum length, in bytes.
        most: usize,
    },
    /// Members of the room read too slowly.
    #[error("the room is busy: a member reads too slowly; try again later")]
    Busy,
}
