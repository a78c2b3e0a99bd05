//! What is said over the operator's interface: objects of JSON, the same for the server and for
//! `ctl`.

use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::{
    peer::ConnectionId,
    registry::{ConnectionEntry, TrafficCounts},
};

/// Every session that is open.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Sessions {
    /// In the order in which they came.
    pub(crate) sessions: Vec<SessionInfo>,
}

/// One session.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SessionInfo {
    /// The number of its connection, which stands in the log as well.
    pub(crate) id: u64,
    /// Whose it is; none if nobody had to log in.
    pub(crate) user: Option<String>,
    /// Where it comes from.
    pub(crate) peer: String,
    /// The path that it has asked for.
    pub(crate) path: String,
    /// For how long it has been there.
    pub(crate) seconds: f64,
    /// Why it was told to end, if it was: it is no longer served then, and has a while to say
    /// goodbye.
    pub(crate) ending: Option<String>,
    /// Messages that came.
    pub(crate) messages_in: u64,
    /// Bytes of payload that came.
    pub(crate) bytes_in: u64,
    /// Messages that went.
    pub(crate) messages_out: u64,
    /// Bytes of payload that went.
    pub(crate) bytes_out: u64,
}

impl SessionInfo {
    /// What is known of a connection; none before its peer was let in.
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

/// Ends one connection.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Kick {
    /// Its number.
    pub(crate) id: u64,
}

/// What was ended by [`Kick`].
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Kicked {
    /// The number of the connection.
    pub(crate) id: u64,
    /// Whose it was; none if nobody has logged in.
    pub(crate) user: Option<String>,
    /// Where it came from.
    pub(crate) peer: String,
}

/// Takes the login of a user back, until the accounts change.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Revoke {
    /// The name.
    pub(crate) user: String,
}

/// What came of [`Revoke`].
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct UserRevoked {
    /// The name.
    pub(crate) user: String,
    /// How many sessions end.
    pub(crate) sessions_ended: usize,
}

/// The server ends, and all its connections before.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Draining {
    /// How many sessions are told so.
    pub(crate) sessions: usize,
}

/// Says something in a room. It is answered with itself.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Publish {
    /// The path of the room.
    pub(crate) room: String,
    /// What is said.
    pub(crate) text: String,
}

/// Why a request was refused.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Problem {
    /// In words for a person.
    pub(crate) error: String,
}
