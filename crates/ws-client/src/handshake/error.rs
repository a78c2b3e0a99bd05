//! The errors of an opening handshake, with their messages and exit codes.

use std::time::Duration;

use proto::escape::{Escaped, escaped_start};

use super::{
    bearer::BEARER,
    challenge::{BASIC, Schemes},
    response::{Head, StatusLine},
    response_part::ResponsePart,
    retry_after::RetryAfter,
};
use crate::exit::Exit;

/// The number of characters of a redirect's target that are shown.
const SHOWN_TARGET: usize = 200;

/// An error of the opening handshake.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeError {
    /// The response head was not complete in time.
    #[error("the server did not complete its answer within {0:?}")]
    TimedOut(Duration),
    /// The connection ended before the response began.
    #[error("the server closed the connection without an answer")]
    Closed,
    /// Status 401 to a request without credentials, with the accepted schemes.
    #[error("{}: {}", status_text(.0), unauthorized_text(.1))]
    Unauthorized(StatusLine, Schemes),
    /// Status 401 to a request with credentials, with the accepted schemes.
    #[error("{}: it refuses the credentials{}", status_text(.0), other_schemes_text(.1))]
    Credentials(StatusLine, Schemes),
    /// Status 429 or 503: the server refuses temporarily (RFC 6585 section 4, RFC 9110 section 15.6.4).
    #[error("{}: {}; {_1}", status_text(.0), status_meaning(.0.code))]
    Busy(StatusLine, RetryAfter),
    /// A redirect, with the target (RFC 9110 section 15.4).
    #[error("{}: {}: {_1}", status_text(.0), status_meaning(.0.code))]
    Redirect(StatusLine, String),
    /// Another status than 101.
    #[error("{}: {}", status_text(.0), status_meaning(.0.code))]
    Status(StatusLine),
    /// A part of the response violates RFC 6455 section 4.2.2.
    #[error("the server's answer is no WebSocket handshake: {}: {_1}", _0.name())]
    Wrong(ResponsePart, String),
}

impl HandshakeError {
    /// Returns the error for the status of a head, or `None` for 1xx.
    pub fn from_status(head: &Head) -> Option<Self> {
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
            300..=399 => Some(match head.values("Location").as_slice() {
                [target] => Self::Redirect(status, escaped_start(target, SHOWN_TARGET)),
                _ => Self::Status(status),
            }),
            _ => Some(Self::Status(status)),
        }
    }

    /// Returns true if the error is an HTTP status, so that a body may explain it.
    pub fn has_status(&self) -> bool {
        match self {
            Self::Unauthorized(..)
            | Self::Credentials(..)
            | Self::Busy(..)
            | Self::Redirect(..)
            | Self::Status(_) => true,
            Self::TimedOut(_) | Self::Closed | Self::Wrong(..) => false,
        }
    }

    /// Converts the error for a request that carried credentials.
    #[must_use]
    pub fn with_credentials_sent(self) -> Self {
        match self {
            Self::Unauthorized(status, schemes) => Self::Credentials(status, schemes),
            other => other,
        }
    }

    /// Formats the error of a response with a body, of which this is the escaped start. The body of a
    /// 4xx or 5xx is the server's own reason, so the meaning of the status is left out.
    pub(crate) fn with_body(&self, body: &str) -> String {
        match self {
            Self::Unauthorized(status, schemes) => {
                let advice = wanted_text(schemes);
                format!("{}, saying \"{body}\"; it {advice}", status_text(status))
            }
            Self::Busy(status, retry) => {
                format!("{}, saying \"{body}\"; {retry}", status_text(status))
            }
            Self::Redirect(status, target) => {
                let meaning = status_meaning(status.code);
                format!(
                    "{}, saying \"{body}\"; {meaning}: {target}",
                    status_text(status)
                )
            }
            Self::Status(status) if status.code >= 400 => {
                format!("{}, saying \"{body}\"", status_text(status))
            }
            Self::Status(status) => {
                let meaning = status_meaning(status.code);
                format!("{}, saying \"{body}\"; {meaning}", status_text(status))
            }
            _ => format!("{self}, saying \"{body}\""),
        }
    }

    /// Returns the exit code of the program after this error.
    pub fn exit(&self) -> Exit {
        match self {
            Self::TimedOut(_) => Exit::TimedOut,
            Self::Credentials(..) => Exit::LoginRefused,
            Self::Closed
            | Self::Unauthorized(..)
            | Self::Busy(..)
            | Self::Redirect(..)
            | Self::Status(_)
            | Self::Wrong(..) => Exit::HandshakeRefused,
        }
    }
}

/// Returns the part of an error text that names the status.
fn status_text(status: &StatusLine) -> String {
    format!("the server answered {}", Escaped(&status.to_string()))
}

/// Explains a 401 with these schemes to a request without credentials.
fn unauthorized_text(schemes: &Schemes) -> String {
    format!("it {}", wanted_text(schemes))
}

/// Describes the credentials that a 401 with these schemes asks for.
fn wanted_text(schemes: &Schemes) -> String {
    let wanted = "wants credentials in the request";
    if schemes.has(BASIC) {
        format!("{wanted}; ws-client --auth basic sends them")
    } else if schemes.has(BEARER) {
        format!("{wanted}; ws-client --bearer-file sends a token")
    } else if schemes.is_empty() {
        format!("{wanted}, and does not say of which kind")
    } else {
        format!("{wanted}, of a kind that ws-client does not know: {schemes}")
    }
}

/// Explains a 401 of a server that does not accept Basic at all.
fn other_schemes_text(schemes: &Schemes) -> String {
    if schemes.is_empty() || schemes.has(BASIC) {
        String::new()
    } else {
        format!(", and accepts only other schemes: {schemes}")
    }
}

/// Explains a status as the response to an opening handshake.
pub(super) fn status_meaning(code: u16) -> &'static str {
    match code {
        101 => "the connection changes to the WebSocket protocol",
        100..=199 => "it is informational, and no final answer follows",
        200..=299 => "this is an ordinary page, not a WebSocket",
        301 | 302 | 303 | 307 | 308 => {
            "it points to another place; a handshake follows no redirect, so give the other URL"
        }
        400 => "it finds the request malformed",
        401 => "it wants credentials in the request",
        403 => "it refuses this origin, or this user",
        404 => "there is nothing at this path",
        405 => "it does not allow GET at this path",
        426 => "it requires another protocol, or another version of WebSocket",
        429 => "it has had too many requests from here",
        431 => "it finds the request header too large",
        503 => "it is full or about to stop",
        _ if (400..500).contains(&code) => "it refuses the request",
        _ if (500..600).contains(&code) => "it failed",
        _ => "this status does not answer a handshake",
    }
}
