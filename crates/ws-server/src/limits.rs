//! The bounds of each connection, and of all connections together.

use std::{num::NonZeroUsize, time::Duration};

use proto::{
    config::{As, Count, Limit, Size, TimeSpan},
    message::MAX_CREDENTIALS_BYTES,
};
use serde::{Deserialize, Serialize};

/// The number of bytes that are read and dropped while a connection ends. A peer that sends more than
/// it could have sent before it learned of the end only costs time.
pub(crate) const MAX_DISCARDED_BYTES: u64 = 16 * 1024 * 1024;

/// The longest message that can be configured.
const MAX_MESSAGE_BYTES: usize = 1 << 30;

/// The default of `max_unauthenticated`, which is lowered to `max_connections`.
const MAX_UNAUTHENTICATED: NonZeroUsize = NonZeroUsize::new(1000).unwrap();

/// The deadlines and bounds: `[limits]` of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// The time from the connection to the end of its HTTP exchange.
    #[serde(with = "As::<TimeSpan>")]
    pub handshake_deadline: Duration,
    /// The silence after which a session is pinged, at the latest after twice as long.
    #[serde(with = "As::<Limit<TimeSpan>>")]
    pub ping_interval: Option<Duration>,
    /// The time for which a peer may send nothing after a ping.
    #[serde(with = "As::<TimeSpan>")]
    pub ping_timeout: Duration,
    /// The time without a message after which a session ends, at the latest after twice as long.
    #[serde(with = "As::<Limit<TimeSpan>>")]
    pub idle_timeout: Option<Duration>,
    /// The time for which writing may make no progress.
    #[serde(with = "As::<TimeSpan>")]
    pub write_deadline: Duration,
    /// The time that the end of a connection may take.
    #[serde(with = "As::<TimeSpan>")]
    pub close_deadline: Duration,
    /// The time that the end of the server may take.
    #[serde(with = "As::<TimeSpan>")]
    pub drain_deadline: Duration,
    /// The number of clients that come back in a second after a drain. Sessions are closed at this rate.
    #[serde(with = "As::<Count>")]
    pub return_per_second: NonZeroUsize,
    /// The greatest length of a message and of a frame.
    pub max_message_bytes: MessageSize,
    /// The number of bytes that the server holds for all peers together.
    #[serde(with = "As::<Limit<Size>>")]
    pub max_buffered_bytes: Option<NonZeroUsize>,
    /// The number of control frames from a session in a second, on average; twice as many at once.
    #[serde(with = "As::<Limit<Count>>")]
    pub max_control_frames_per_second: Option<NonZeroUsize>,
    /// The number of connections.
    #[serde(with = "As::<Count>")]
    pub max_connections: NonZeroUsize,
    /// The number of connections that are not logged in. By default 1000, lowered to
    /// `max_connections`.
    pub max_unauthenticated: Option<Count>,
    /// The number of those from one address.
    #[serde(with = "As::<Limit<Count>>")]
    pub max_unauthenticated_per_address: Option<NonZeroUsize>,
    /// The number of connections from one address.
    #[serde(with = "As::<Limit<Count>>")]
    pub max_connections_per_address: Option<NonZeroUsize>,
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
            return_per_second: const { NonZeroUsize::new(500).unwrap() },
            max_message_bytes: MessageSize(Size(const { NonZeroUsize::new(1 << 20).unwrap() })),
            max_buffered_bytes: NonZeroUsize::new(512 << 20),
            max_control_frames_per_second: NonZeroUsize::new(100),
            max_connections: const { NonZeroUsize::new(10_000).unwrap() },
            max_unauthenticated: None,
            max_unauthenticated_per_address: NonZeroUsize::new(64),
            max_connections_per_address: None,
        }
    }
}

impl Limits {
    /// Fills in the default of `max_unauthenticated`.
    pub(crate) fn complete(&mut self) {
        self.max_unauthenticated = Some(Count(self.unauthenticated()));
    }

    fn unauthenticated(&self) -> NonZeroUsize {
        let default = self.max_connections.min(MAX_UNAUTHENTICATED);
        self.max_unauthenticated.map_or(default, NonZeroUsize::from)
    }

    /// Returns the caps on connections.
    pub(crate) fn caps(&self) -> Caps {
        let number = |limit: Option<NonZeroUsize>| limit.map(NonZeroUsize::get);
        Caps {
            connections: self.max_connections.get(),
            unauthenticated: self.unauthenticated().get(),
            unauthenticated_per_address: number(self.max_unauthenticated_per_address),
            connections_per_address: number(self.max_connections_per_address),
        }
    }

    /// Returns the greatest time for which a connection may stall until the server closes it. A stall
    /// is noticed at the next tick after the write deadline, and closing takes time. Only after that
    /// the system may reset the connection.
    pub(crate) fn longest_standstill(&self) -> Duration {
        2 * self.write_deadline + self.close_deadline
    }
}

/// The greatest length of a message: room for a login, and at most 1 GiB, because a connection may hold
/// several messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "Size")]
pub struct MessageSize(Size);

impl MessageSize {
    /// Returns the number of bytes.
    pub fn get(self) -> usize {
        self.0.0.get()
    }
}

impl TryFrom<Size> for MessageSize {
    type Error = &'static str;

    fn try_from(size: Size) -> Result<Self, Self::Error> {
        match size.0.get() {
            ..MAX_CREDENTIALS_BYTES => Err("write at least \"1KiB\", which a login may need"),
            MAX_CREDENTIALS_BYTES..=MAX_MESSAGE_BYTES => Ok(Self(size)),
            _ => Err("write at most \"1GiB\": a connection may hold several messages"),
        }
    }
}

/// The caps on connections.
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
    fn caps_bounded_by_available_connections() {
        let caps = Limits::default().caps();
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
