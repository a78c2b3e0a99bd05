//! The bounds of each connection, and of all connections together.

use std::{num::NonZeroUsize, time::Duration};

/// How much is read and dropped of what a peer sends while its connection ends. Whatever a peer had
/// sent before it could know is less than that; one that goes on and on only costs time.
pub(crate) const MAX_DISCARDED_BYTES: u64 = 16 * 1024 * 1024;

/// Every deadline and bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// From the beginning of a connection to the end of its HTTP exchange.
    pub handshake_deadline: Duration,
    /// After how much silence a session is pinged, at the latest after twice as much; never, if
    /// there is none.
    pub ping_interval: Option<Duration>,
    /// How long a peer may send nothing at all after a ping.
    pub ping_timeout: Duration,
    /// How long a session may go without a message before it ends, at the latest after twice as
    /// long; forever, if there is none.
    pub idle_timeout: Option<Duration>,
    /// How long writing may make no progress.
    pub write_deadline: Duration,
    /// How long the end of a connection may take.
    pub close_deadline: Duration,
    /// How long the end of the server may take.
    pub drain_deadline: Duration,
    /// The longest message, and the longest frame, that is taken.
    pub max_message_bytes: usize,
    /// How many control frames a session may send in a second, on average; twice as many at once.
    pub control_frames_per_second: Option<NonZeroUsize>,
    /// How many connections there may be.
    pub caps: Caps,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            handshake_deadline: Duration::from_secs(10),
            ping_interval: Some(Duration::from_secs(20)),
            ping_timeout: Duration::from_secs(20),
            idle_timeout: None,
            write_deadline: Duration::from_secs(30),
            close_deadline: Duration::from_secs(5),
            drain_deadline: Duration::from_secs(10),
            max_message_bytes: 1 << 20,
            control_frames_per_second: NonZeroUsize::new(100),
            caps: Caps {
                connections: 10_000,
                unauthenticated: 1000,
                unauthenticated_per_address: Some(64),
                connections_per_address: None,
            },
        }
    }
}

impl Limits {
    /// How long a connection may stand still, at most, before it is ended in order: a standstill is
    /// noticed at the next look after the write deadline, and the end takes its time. Only beyond
    /// that the system may cut it off.
    pub(crate) fn longest_standstill(&self) -> Duration {
        2 * self.write_deadline + self.close_deadline
    }
}

/// The four caps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caps {
    /// All connections.
    pub connections: usize,
    /// Connections that are not logged in.
    pub unauthenticated: usize,
    /// Connections from one address that are not logged in.
    pub unauthenticated_per_address: Option<usize>,
    /// All connections from one address.
    pub connections_per_address: Option<usize>,
}

impl Caps {
    /// Lowers the caps to as many connections as are available, but not below one.
    pub(crate) fn within(self, available: usize) -> Self {
        let connections = self.connections.min(available.max(1));
        Self {
            connections,
            unauthenticated: self.unauthenticated.min(connections),
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Caps, Limits};

    #[test]
    fn caps_available_places_bound_them() {
        let caps = Limits::default().caps;
        let bounded = |available| {
            let Caps {
                connections,
                unauthenticated,
                ..
            } = caps.within(available);
            (connections, unauthenticated)
        };
        assert_eq!(bounded(1 << 20), (10_000, 1000));
        assert_eq!(bounded(2000), (2000, 1000));
        assert_eq!(bounded(144), (144, 144));
        assert_eq!(bounded(0), (1, 1));
    }
}
