//! The bounds of each connection, and of all connections together.

use std::num::NonZeroUsize;

use proto::config::{Count, Limit, Size, TimeSpan, TomlError};
use serde::{Deserialize, Serialize};

use crate::{
    config::values::MessageSize,
    limits::{Caps, Limits},
};

/// `[limits]`. The defaults are those of [`Limits`].
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct LimitsTable {
    /// The time from the connection to the end of its HTTP exchange.
    handshake_deadline: TimeSpan,
    /// The silence after which a session is pinged.
    ping_interval: Limit<TimeSpan>,
    /// The time for which a peer may send nothing after a ping.
    ping_timeout: TimeSpan,
    /// The time for which a session may go without a message.
    idle_timeout: Limit<TimeSpan>,
    /// The time for which writing may make no progress.
    write_deadline: TimeSpan,
    /// The time that the end of a connection may take.
    close_deadline: TimeSpan,
    /// The time that the end of the server may take.
    drain_deadline: TimeSpan,
    /// The greatest length of a message and of a frame.
    max_message_bytes: MessageSize,
    /// The number of control frames from a session in a second.
    max_control_frames_per_second: Limit<Count>,
    /// The number of connections.
    max_connections: Count,
    /// The number of connections that are not logged in. By default it is lowered to
    /// `max_connections`, so it is absent until the whole table was read.
    max_unauthenticated: Option<Count>,
    /// The number of those from one address.
    max_unauthenticated_per_address: Limit<Count>,
    /// The number of connections from one address.
    max_connections_per_address: Limit<Count>,
}

impl Default for LimitsTable {
    fn default() -> Self {
        let limits = Limits::default();
        let caps = limits.caps;
        Self {
            handshake_deadline: TimeSpan(limits.handshake_deadline),
            ping_interval: limits.ping_interval.map(TimeSpan).into(),
            ping_timeout: TimeSpan(limits.ping_timeout),
            idle_timeout: limits.idle_timeout.map(TimeSpan).into(),
            write_deadline: TimeSpan(limits.write_deadline),
            close_deadline: TimeSpan(limits.close_deadline),
            drain_deadline: TimeSpan(limits.drain_deadline),
            max_message_bytes: MessageSize(Size(non_zero(limits.max_message_bytes))),
            max_control_frames_per_second: limits.control_frames_per_second.map(Count).into(),
            max_connections: Count(non_zero(caps.connections)),
            max_unauthenticated: None,
            max_unauthenticated_per_address: limit(caps.unauthenticated_per_address),
            max_connections_per_address: limit(caps.connections_per_address),
        }
    }
}

impl LimitsTable {
    /// Fills in the default that depends on another key.
    pub(super) fn complete(&mut self) {
        let default = Count(non_zero(Limits::default().caps.unauthenticated));
        self.max_unauthenticated
            .get_or_insert(if default.0 < self.max_connections.0 {
                default
            } else {
                self.max_connections
            });
    }

    /// Returns the limits, if they fit each other. `source` is the file that errors refer to.
    pub(super) fn limits(&self, source: &str) -> Result<Limits, TomlError> {
        let Count(connections) = self.max_connections;
        let Count(unauthenticated) = self.max_unauthenticated.unwrap_or(self.max_connections);
        if unauthenticated > connections {
            let problem = format!("write at most {connections}, which is max_connections");
            let key = "limits.max_unauthenticated";
            return Err(TomlError::at_key(source, key, problem));
        }
        let count = |limit: Limit<Count>| limit.value().map(|count| count.0);
        let span = |limit: Limit<TimeSpan>| limit.value().map(|span| span.0);
        Ok(Limits {
            handshake_deadline: self.handshake_deadline.0,
            ping_interval: span(self.ping_interval),
            ping_timeout: self.ping_timeout.0,
            idle_timeout: span(self.idle_timeout),
            write_deadline: self.write_deadline.0,
            close_deadline: self.close_deadline.0,
            drain_deadline: self.drain_deadline.0,
            max_message_bytes: self.max_message_bytes.0.0.get(),
            control_frames_per_second: count(self.max_control_frames_per_second),
            caps: Caps {
                connections: connections.get(),
                unauthenticated: unauthenticated.get(),
                unauthenticated_per_address: count(self.max_unauthenticated_per_address)
                    .map(NonZeroUsize::get),
                connections_per_address: count(self.max_connections_per_address)
                    .map(NonZeroUsize::get),
            },
        })
    }
}

fn non_zero(default: usize) -> NonZeroUsize {
    NonZeroUsize::new(default).expect("no default is zero")
}

fn limit(default: Option<usize>) -> Limit<Count> {
    default.map(|count| Count(non_zero(count))).into()
}
