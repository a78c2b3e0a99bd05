//! The end of a connection.

use std::fmt;

use proto::{
    close::{CloseCode, CloseReason},
    escape::Escaped,
};

/// The reason for the end of a connection.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Ended {
    /// The server closes the connection with a Close frame.
    ByUs(CloseReason),
    /// The service closes the connection with a Close frame of its own, such as the one that its
    /// upstream sent.
    ByService {
        /// The code, or [`CloseCode::ABSENT`] for a Close frame without a code.
        code: CloseCode,
        /// The reason text, unescaped, of at most 123 bytes.
        reason: String,
    },
    /// The peer sent a Close frame (RFC 6455 section 5.5.1).
    ByPeer {
        /// The code, or [`CloseCode::ABSENT`].
        code: CloseCode,
        /// The reason text, unescaped.
        reason: String,
    },
    /// The connection was lost without a Close frame.
    Lost,
}

impl Ended {
    /// Returns the close code, or `None` if the connection was lost.
    pub fn code(&self) -> Option<CloseCode> {
        match self {
            Self::ByUs(reason) => Some(reason.code()),
            Self::ByService { code, .. } | Self::ByPeer { code, .. } => Some(*code),
            Self::Lost => None,
        }
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ByUs(reason) => write!(f, "{reason}"),
            Self::ByService { reason, .. } if reason.is_empty() => {
                f.write_str("closed by the service")
            }
            Self::ByService { reason, .. } => {
                write!(f, "closed by the service: {}", Escaped(reason))
            }
            Self::ByPeer { reason, .. } if reason.is_empty() => f.write_str("closed by the peer"),
            Self::ByPeer { reason, .. } => write!(f, "closed by the peer: {}", Escaped(reason)),
            Self::Lost => f.write_str("lost"),
        }
    }
}
