//! The JSON types of the admin interface, shared by the server and `ctl`.

use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::{
    peer::ConnectionId,
    registry::{ConnectionEntry, TrafficCounts},
};

/// The open sessions.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Sessions {
    /// Sorted by connection number, the oldest first.
    pub(crate) sessions: Vec<SessionInfo>,
}

/// An open session.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SessionInfo {
    /// The number of the connection, as in the log.
    pub(crate) id: u64,
    /// The user, or none for a guest.
    pub(crate) user: Option<String>,
    /// The address of the client.
    pub(crate) peer: String,
    /// The path of the handshake.
    pub(crate) path: String,
    /// The age of the session, in seconds.
    pub(crate) seconds: f64,
    /// The reason of a close in progress: the session is no longer served, and the closing
    /// handshake is not complete (RFC 6455 section 7.1.2).
    pub(crate) ending: Option<String>,
    /// Messages received.
    pub(crate) messages_in: u64,
    /// Payload bytes received.
    pub(crate) bytes_in: u64,
    /// Messages sent.
    pub(crate) messages_out: u64,
    /// Payload bytes sent.
    pub(crate) bytes_out: u64,
}

impl SessionInfo {
    /// Describes a connection. Returns `None` if it is not admitted yet.
    pub(crate) fn of(id: ConnectionId, entry: &ConnectionEntry, now: Instant) -> Option<Self> {
        let admitted = entry.admitted()?;
        let TrafficCounts {
            messages_in,
            bytes_in,
            messages_out,
            bytes_out,
        } = entry.counters().counts();
        Some(Self {
            id: id.number(),
            user: admitted.grant.principal.user().map(ToString::to_string),
            peer: entry.peer().to_string(),
            path: admitted.path.to_string(),
            seconds: now.duration_since(admitted.since).as_secs_f64(),
            ending: entry.ended().map(|why| why.to_string()),
            messages_in,
            bytes_in,
            messages_out,
            bytes_out,
        })
    }
}

/// The request to end one connection.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Kick {
    /// The number of the connection.
    pub(crate) id: u64,
}

/// The response to [`Kick`].
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Kicked {
    /// The number of the connection.
    pub(crate) id: u64,
    /// The user, or none for a guest or a connection without a login.
    pub(crate) user: Option<String>,
    /// The address of the client.
    pub(crate) peer: String,
}

/// The request to revoke the logins of a user until the user's credential changes.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Revoke {
    /// The user name.
    pub(crate) user: String,
}

/// The response to [`Revoke`].
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct UserRevoked {
    /// The user name.
    pub(crate) user: String,
    /// The number of sessions that end.
    pub(crate) sessions_ended: usize,
    /// True if a file keeps the revocation over a restart of the server.
    pub(crate) kept: bool,
}

/// The revocations in force.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RevocationList {
    /// Sorted by user name.
    pub(crate) revocations: Vec<RevocationInfo>,
}

/// A revocation in force.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RevocationInfo {
    /// The user name.
    pub(crate) user: String,
    /// The time of the revocation (RFC 3339).
    pub(crate) since: String,
    /// The operator.
    pub(crate) by: String,
}

/// The request to end the revocation of a user, and its response.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Allow {
    /// The user name.
    pub(crate) user: String,
}

/// The request to drain the server. The body may be absent.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Drain {
    /// The server starts again afterwards, so clients are told to come back (1012).
    pub(crate) restart: bool,
}

/// The response to a drain request: the server closes all sessions, then exits.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Draining {
    /// The number of sessions to close.
    pub(crate) sessions: usize,
}

/// The request to publish a message in a room, and its response.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Publish {
    /// The path of the room.
    pub(crate) room: String,
    /// The text of the message.
    pub(crate) text: String,
}

/// The request to drop the history of a room.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Purge {
    /// The path of the room.
    pub(crate) room: String,
}

/// The response to [`Purge`].
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Purged {
    /// The path of the room, in normal form.
    pub(crate) room: String,
    /// The number of dropped messages.
    pub(crate) messages: usize,
}

/// The response to a refused request.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ErrorResponse {
    /// The error message.
    pub(crate) error: String,
}
