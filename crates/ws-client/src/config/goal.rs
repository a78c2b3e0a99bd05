//! The condition under which a session ends by itself.

use std::time::Duration;

/// The longest silence after the end of the input before the connection is closed.
const LINGER: Duration = Duration::from_secs(1);

/// The condition under which a session ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// The input has ended, and each message was answered or nothing arrived for this long.
    AllAnswered(Duration),
}

impl Default for Goal {
    fn default() -> Self {
        Self::AllAnswered(LINGER)
    }
}
