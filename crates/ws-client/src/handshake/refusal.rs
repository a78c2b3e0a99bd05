//! Why a handshake failed, in words and as an exit code.

use std::time::Duration;

use proto::escape::Escaped;

use super::{response::StatusLine, verdict::Part};
use crate::exit::Exit;

/// Why a handshake failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The head did not come in time.
    #[error("the server did not complete its answer within {0:?}")]
    Silent(Duration),
    /// The connection ended before the answer began.
    #[error("the server closed the connection without an answer")]
    Closed,
    /// The server refused, with a status of HTTP.
    #[error("the server answered {}: {}", Escaped(&.0.to_string()), status_meaning(.0.code))]
    Status(StatusLine),
    /// A part of the answer is wrong.
    #[error("the server's answer is no WebSocket handshake: {}: {_1}", _0.name())]
    Wrong(Part, String),
}

impl Refusal {
    /// The exit code that this refusal ends the program with.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Silent(_) => Exit::TimedOut,
            Self::Closed | Self::Status(_) | Self::Wrong(..) => Exit::HandshakeRefused,
        }
    }
}

/// What a status means for a handshake.
pub fn status_meaning(code: u16) -> &'static str {
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
        429 => "it has had too many requests from here; try again later",
        431 => "it finds the request too long",
        503 => "it is full or about to stop; try again later",
        _ if (400..500).contains(&code) => "it refuses the request",
        _ if (500..600).contains(&code) => "it failed",
        _ => "this answers no handshake",
    }
}
