//! Why a handshake failed, in words and as an exit code.

use std::time::Duration;

use proto::escape::Escaped;

use super::{
    challenge::{BASIC, Schemes},
    response::{Head, StatusLine},
    response_part::ResponsePart,
    retry_after::RetryAfter,
};
use crate::exit::Exit;

/// Why a handshake failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeError {
    /// The head did not come in time.
    #[error("the server did not complete its answer within {0:?}")]
    TimedOut(Duration),
    /// The connection ended before the answer began.
    #[error("the server closed the connection without an answer")]
    Closed,
    /// The server wants credentials in the request, of these kinds.
    #[error("{}: {}", answered(.0), wanted(.1))]
    Unauthorized(StatusLine, Schemes),
    /// The server refuses the credentials in the request, and takes such ones.
    #[error("{}: it refuses the credentials{}", answered(.0), others(.1))]
    Credentials(StatusLine, Schemes),
    /// The server refuses for now.
    #[error("{}: {}; {_1}", answered(.0), status_meaning(.0.code))]
    Busy(StatusLine, RetryAfter),
    /// The server refused, with another status of HTTP.
    #[error("{}: {}", answered(.0), status_meaning(.0.code))]
    Status(StatusLine),
    /// A part of the answer is wrong.
    #[error("the server's answer is no WebSocket handshake: {}: {_1}", _0.name())]
    Wrong(ResponsePart, String),
}

impl HandshakeError {
    /// The refusal that the status of a head is, unless it agrees or only informs.
    pub fn by_status(head: &Head) -> Option<Self> {
        let status = head.status.as_ref().ok()?.clone();
        match status.code {
            100..=199 => None,
            401 => {
                let schemes = Schemes::read(&head.values(ResponsePart::Challenge.name()));
                Some(Self::Unauthorized(status, schemes))
            }
            429 | 503 => {
                let retry = RetryAfter::read(&head.values("Retry-After"));
                Some(Self::Busy(status, retry))
            }
            _ => Some(Self::Status(status)),
        }
    }

    /// Whether the server refused in words of HTTP, so that a body may say more.
    pub fn is_by_status(&self) -> bool {
        match self {
            Self::Unauthorized(..) | Self::Credentials(..) | Self::Busy(..) | Self::Status(_) => {
                true
            }
            Self::TimedOut(_) | Self::Closed | Self::Wrong(..) => false,
        }
    }

    /// What the refusal means for a request that presented credentials.
    #[must_use]
    pub fn with_credentials_sent(self) -> Self {
        match self {
            Self::Unauthorized(status, schemes) => Self::Credentials(status, schemes),
            other => other,
        }
    }

    /// The exit code that this refusal ends the program with.
    pub fn exit(&self) -> Exit {
        match self {
            Self::TimedOut(_) => Exit::TimedOut,
            Self::Credentials(..) => Exit::LoginRefused,
            Self::Closed
            | Self::Unauthorized(..)
            | Self::Busy(..)
            | Self::Status(_)
            | Self::Wrong(..) => Exit::HandshakeRefused,
        }
    }
}

/// The words that a refusal by a status begins with.
fn answered(status: &StatusLine) -> String {
    format!("the server answered {}", Escaped(&status.to_string()))
}

/// What a 401 that takes these credentials means.
fn wanted(schemes: &Schemes) -> String {
    let meaning = status_meaning(401);
    if schemes.has(BASIC) {
        format!("{meaning}; ws-client --auth basic sends them")
    } else if schemes.is_empty() {
        format!("{meaning}, and does not say of which kind")
    } else {
        format!("{meaning}, of a kind that ws-client does not know: {schemes}")
    }
}

/// What is said of a server that refuses credentials which it would not take from anybody.
fn others(schemes: &Schemes) -> String {
    if schemes.is_empty() || schemes.has(BASIC) {
        String::new()
    } else {
        format!(", and takes only others: {schemes}")
    }
}

/// What a status means for a handshake.
pub(super) fn status_meaning(code: u16) -> &'static str {
    match code {
        101 => "the connection changes to the WebSocket protocol",
        100..=199 => "it only informs, and no final answer follows",
        200..=299 => "an ordinary page is there, and no WebSocket",
        301 | 302 | 303 | 307 | 308 => {
            "it points to another place; a handshake follows no redirect, so give the other URL"
        }
        400 => "it finds the request malformed",
        401 => "it wants credentials in the request",
        403 => "it refuses this origin, or this user",
        404 => "there is nothing at this path",
        405 => "it takes no GET at this path",
        426 => "it wants another protocol, or another version of this one",
        429 => "it has had too many requests from here",
        431 => "it finds the request too long",
        503 => "it is full or about to stop",
        _ if (400..500).contains(&code) => "it refuses the request",
        _ if (500..600).contains(&code) => "it failed",
        _ => "this answers no handshake",
    }
}
