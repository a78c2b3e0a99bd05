//! The condition under which a session ends by itself.

use std::{num::NonZeroUsize, time::Duration};

use super::linger::Linger;

/// The longest silence after the end of the input before the connection is closed.
const LINGER: Duration = Duration::from_secs(1);

/// The condition under which a session ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// The input has ended, and each message was answered or nothing arrived for this long.
    AllAnswered(Duration),
    /// This number of messages arrived after the login. The end of the input ends nothing.
    Count(NonZeroUsize),
    /// None: the session lasts until the server closes, a time limit or a signal.
    Stay,
}

impl Goal {
    /// Returns the goal of `--count` and `--linger`.
    pub(super) fn new(count: Option<NonZeroUsize>, linger: Option<Linger>) -> Self {
        match (count, linger) {
            (Some(count), _) => Self::Count(count),
            (None, Some(Linger::Forever)) => Self::Stay,
            (None, Some(Linger::For(linger))) => Self::AllAnswered(linger.0),
            (None, None) => Self::default(),
        }
    }

    /// Returns the silence that ends the wait for answers where no other rule holds.
    pub(crate) fn linger(self) -> Duration {
        match self {
            Self::AllAnswered(linger) => linger,
            Self::Count(_) | Self::Stay => LINGER,
        }
    }
}

impl Default for Goal {
    fn default() -> Self {
        Self::AllAnswered(LINGER)
    }
}
