//! The words of the notices.

use std::{error::Error, fmt};

use proto::{
    close::{CloseCode, CloseReason},
    escape::Escaped,
    plural::plural,
};

use super::{
    event::{Event, Notice},
    input::UnsentLines,
    prompt::{GOODBYE, credentials_hint},
    sanitize::{hexadecimal, safe_lines},
};
use crate::websocket::{CloseFrame, Closed, Payload};

impl Notice<'_> {
    /// Returns the lines for a person. Texts of the server are escaped, and all others begin with the
    /// name of the program.
    pub(crate) fn words(&self) -> String {
        match self {
            Self::LoginMessage(Payload::Text(text)) => safe_lines(text),
            Self::LoginMessage(Payload::Binary(bytes)) => hexadecimal(bytes),
            Self::Goodbye => GOODBYE.to_owned(),
            notice => format!("ws-client: {}", notice.own_words()),
        }
    }

    /// Returns the words of the program, without its name.
    pub(super) fn own_words(&self) -> String {
        OwnWords(self).to_string()
    }
}

impl Event<'_> {
    /// Returns the words of a state, or `None` for a notice.
    pub(super) fn state(&self) -> Option<String> {
        let message = |payload: &Payload<'_>| match payload {
            Payload::Text(text) => format!("a text, {}", plural(text.len(), "byte", "bytes")),
            Payload::Binary(bytes) => {
                let size = plural(bytes.len(), "byte", "bytes");
                format!("a binary message, {size}")
            }
        };
        Some(match self {
            Self::Notice(_) => return None,
            Self::Connecting => "connecting".to_owned(),
            Self::Opened { url } => format!("connected to {}", Escaped(url)),
            Self::LoggedIn { user: Some(user) } => format!("logged in as {}", Escaped(user)),
            Self::LoggedIn { user: None } => "the session begins".to_owned(),
            Self::Message(payload) => format!("received {}", message(payload)),
            Self::Sent(payload) => format!("sent {}", message(payload)),
            Self::Pong(payload) => {
                let size = plural(payload.len(), "byte", "bytes");
                format!("received a pong, {size}")
            }
            Self::Closing => "closing".to_owned(),
            Self::Closed { frame, .. } => {
                let CloseFrame { code, reason } = frame;
                format!("the server sent Close {code} \"{}\"", Escaped(reason))
            }
            Self::End(exit) => format!("exit code {}", exit.code()),
        })
    }
}

/// The words of the program itself.
struct OwnWords<'a>(&'a Notice<'a>);

impl fmt::Display for OwnWords<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Notice::Text(text) => f.write_str(text),
            Notice::CredentialsWanted(login) => f.write_str(&credentials_hint(*login)),
            Notice::LineNotSent(error) => write!(f, "the line was not sent: {error}"),
            Notice::LoginMessage(_) | Notice::Goodbye => Ok(()),
            Notice::UnaskedLogin => {
                f.write_str("the server accepted a login that was not sent; press Enter to go on")
            }
            Notice::LineDropped => f.write_str("the line was not sent"),
            Notice::InputEndedAtLogin => f.write_str("the input ended before the login succeeded"),
            Notice::BadInput(error) => f.write_str(&with_sources(error)),
            Notice::NoCredentials(error) => {
                write!(f, "the input does not begin with credentials: {error}")
            }
            Notice::LogFailed(error) => {
                write!(f, "the log cannot be written, and ends here: {error}")
            }
            Notice::OutputFailed(error) => write!(f, "the messages cannot be written: {error}"),
            Notice::ConnectFailed(error) => f.write_str(&with_sources(error)),
            Notice::LoginRefused => f.write_str("the configured credentials were refused"),
            Notice::NoFurtherCredentials => f.write_str(
                "the login was refused, and the next line of the input is no name:password",
            ),
            Notice::NoLogin => f.write_str("the room needs no login; use --auth none to join it"),
            Notice::CredentialsExposed => f.write_str(
                "what was sent as credentials may have been shown to others: choose a new password",
            ),
            Notice::NoSubprotocol(offered) => write!(
                f,
                "the server selected no subprotocol; the request offered {offered}"
            ),
            Notice::LoginTimedOut(span) => {
                write!(
                    f,
                    "the server did not answer the credentials within {span:?}"
                )
            }
            Notice::Stalled(span) => write!(f, "the server accepted no data for {span:?}"),
            Notice::Closed(end) => f.write_str(&closed(end)),
            Notice::CloseTimedOut(span) => {
                write!(f, "the server did not close its side within {span:?}")
            }
            Notice::Unanswered(count) => {
                write!(f, "{} got no answer", plural(*count, "message", "messages"))
            }
            Notice::Unsent(lines) => {
                let (count, qualifier) = match *lines {
                    UnsentLines::Exactly(count) => (count, ""),
                    UnsentLines::AtLeast(count) => (count, "at least "),
                };
                let lines = plural(count, "line was", "lines were");
                write!(f, "{qualifier}{lines} not sent")
            }
            Notice::EmptyInput => f.write_str(
                "the input is empty, so there is nothing to do; --linger forever stays and prints \
                 what comes",
            ),
            Notice::TimeUp(span) => write!(f, "the run took longer than {span:?} (--timeout)"),
            Notice::TooFewMessages { received, wanted } => {
                let messages = plural(*received, "message", "messages");
                write!(f, "only {messages} of {wanted} arrived")
            }
            Notice::LinesAfterExit => {
                f.write_str("a line \"exit\" ends the session; --literal sends it as a message")
            }
        }
    }
}

/// Describes the end of a connection.
fn closed(end: &Closed) -> String {
    match end {
        Closed::ByPeer(frame) => describe(frame),
        Closed::InvalidCode(code) => {
            let reply = CloseReason::ProtocolError.code();
            format!(
                "the server broke the WebSocket protocol: it sent close code {code}, which must not \
                 be sent; closed with {reply}"
            )
        }
        Closed::Lost(None) => {
            "the connection was lost: the server ended it without a close frame".to_owned()
        }
        Closed::Lost(Some(error)) => format!("the connection was lost: {error}"),
        Closed::ProtocolViolation { reply, detail } => {
            let action = match reply {
                CloseReason::MessageTooBig => "sent more than --max-message allows",
                _ => "broke the WebSocket protocol",
            };
            let (detail, code) = (Escaped(detail), reply.code());
            format!("the server {action}: {detail}; closed with {code}")
        }
    }
}

/// Describes a Close frame of the server. Its own reason comes first, and the meaning of the code only if
/// the reason does not contain it.
fn describe(frame: &CloseFrame) -> String {
    let CloseFrame { code, reason } = frame;
    let manner = if *code == CloseReason::UserExit.code() {
        " normally"
    } else {
        ""
    };
    let meaning = code.description();
    match *code {
        CloseCode::ABSENT => "the server closed the connection without a code".to_owned(),
        code if reason.is_empty() => {
            format!("the server closed the connection{manner}: {code}, {meaning}")
        }
        code => {
            let is_repeated = reason.to_lowercase().contains(&meaning.to_lowercase());
            let meaning = if is_repeated { "" } else { meaning };
            let separator = if is_repeated { "" } else { ", " };
            format!(
                "the server closed the connection{manner}, saying \"{}\" ({code}{separator}{meaning})",
                Escaped(reason)
            )
        }
    }
}

/// Formats an error with its sources.
fn with_sources(error: &dyn Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", with_sources(source)),
        None => error.to_string(),
    }
}
