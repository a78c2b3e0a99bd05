//! How a connection came to its end.

use std::fmt;

use proto::{
    close::{CloseCode, CloseReason},
    escape::Escaped,
};

/// Why a connection ends, as its peer and the log are told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Ended {
    /// This side ends it, and says so in a Close frame.
    ByUs(CloseReason),
    /// The peer sent a Close frame.
    ByPeer {
        /// The code in it; [`CloseCode::ABSENT`] if there was none.
        code: CloseCode,
        /// The text in it, as it came.
        reason: String,
    },
    /// The peer is gone without a Close frame.
    Lost,
}

impl Ended {
    /// The close code that both sides know of; none if the peer just went.
    pub fn code(&self) -> Option<CloseCode> {
        match self {
            Self::ByUs(reason) => Some(reason.code()),
            Self::ByPeer { code, .. } => Some(*code),
            Self::Lost => None,
        }
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ByUs(reason) => write!(f, "{reason}"),
            Self::ByPeer { reason, .. } if reason.is_empty() => f.write_str("closed by the peer"),
            Self::ByPeer { reason, .. } => write!(f, "closed by the peer: {}", Escaped(reason)),
            Self::Lost => f.write_str("lost"),
        }
    }
}
