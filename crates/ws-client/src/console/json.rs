//! Events as JSON objects, one on each line (`--json`). The page `events.md` describes them.

use std::fmt::Write as _;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use proto::{close::CloseCode, escape::is_unsafe};
use serde::Serialize;

use super::event::{Event, Notice};
use crate::websocket::{Closed, Payload};

/// An event as it is written.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
enum Object<'a> {
    State {
        state: &'static str,
    },
    Open {
        url: &'a str,
    },
    Login {
        user: Option<&'a str>,
    },
    Message {
        #[serde(flatten)]
        data: Data<'a>,
    },
    Pong {
        base64: String,
    },
    Close {
        code: Option<u16>,
        reason: &'a str,
        by: &'static str,
    },
    Error {
        error: String,
    },
    End {
        exit: u8,
    },
}

/// The content of a message.
#[derive(Debug, Serialize)]
#[serde(rename_all = "lowercase")]
enum Data<'a> {
    Text(&'a str),
    Base64(String),
}

/// A line of a log.
#[derive(Debug, Serialize)]
struct Logged<'a> {
    #[serde(flatten)]
    object: Object<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    direction: Option<&'static str>,
    at: &'a str,
}

/// Returns the line of an event with its newline, or `None` for one that is told to a person or a log
/// only.
pub(super) fn line(event: &Event<'_>) -> Option<String> {
    match event {
        Event::Sent(_) => None,
        event => written(&object(event)?),
    }
}

/// Returns the line of an event at this time for a log, or `None` for one that is told to a person
/// only.
pub(super) fn log_line(event: &Event<'_>, at: &str) -> Option<String> {
    let direction = match event {
        Event::Message(_) => Some("received"),
        Event::Sent(_) => Some("sent"),
        _ => None,
    };
    let object = object(event)?;
    written(&Logged {
        object,
        direction,
        at,
    })
}

fn written(object: &impl Serialize) -> Option<String> {
    // Only a map with keys that are no strings could fail.
    let json = serde_json::to_string(object).ok()?;
    Some(ascii_controls(&json) + "\n")
}

fn object<'a>(event: &'a Event<'a>) -> Option<Object<'a>> {
    Some(match event {
        Event::Connecting => Object::State {
            state: "connecting",
        },
        Event::Opened { url } => Object::Open { url },
        Event::LoggedIn { user } => Object::Login { user: *user },
        Event::Message(Payload::Text(text)) | Event::Sent(Payload::Text(text)) => Object::Message {
            data: Data::Text(text),
        },
        Event::Message(Payload::Binary(bytes)) | Event::Sent(Payload::Binary(bytes)) => {
            Object::Message {
                data: Data::Base64(STANDARD.encode(bytes)),
            }
        }
        Event::Pong(payload) => Object::Pong {
            base64: STANDARD.encode(payload),
        },
        Event::Closing => Object::State { state: "closing" },
        Event::Closed { frame, by } => Object::Close {
            code: Some(frame.code)
                .filter(|code| !matches!(*code, CloseCode::ABSENT))
                .map(|code| code.0),
            reason: &frame.reason,
            by: by.name(),
        },
        Event::Notice(notice) if is_error(notice) => Object::Error {
            error: notice.own_words(),
        },
        Event::Notice(_) => return None,
        Event::End(exit) => Object::End { exit: exit.code() },
    })
}

/// Escapes the characters that a terminal would interpret. JSON escapes only those below U+0020
/// itself (RFC 8259 section 7). All of them are in strings.
fn ascii_controls(json: &str) -> String {
    let mut line = String::with_capacity(json.len());
    for c in json.chars() {
        if is_unsafe(c) {
            // Each of them is in the basic plane, so it is one unit of UTF-16.
            write!(line, "\\u{:04x}", u32::from(c)).expect("writing to a string cannot fail");
        } else {
            line.push(c);
        }
    }
    line
}

/// Returns true for the reason of an end, or a part of its report.
fn is_error(notice: &Notice<'_>) -> bool {
    match notice {
        Notice::Text(_)
        | Notice::CredentialsWanted(_)
        | Notice::LineNotSent(_)
        | Notice::LoginMessage(_)
        | Notice::UnaskedLogin
        | Notice::LineDropped
        | Notice::Goodbye
        | Notice::NoSubprotocol(_)
        // The close event tells it.
        | Notice::Closed(Closed::ByPeer(_)) => false,
        Notice::InputEndedAtLogin
        | Notice::BadInput(_)
        | Notice::NoCredentials(_)
        | Notice::LogFailed(_)
        | Notice::OutputFailed(_)
        | Notice::ConnectFailed(_)
        | Notice::LoginRefused
        | Notice::NoFurtherCredentials
        | Notice::NoLogin
        | Notice::CredentialsExposed
        | Notice::LoginTimedOut(_)
        | Notice::Stalled(_)
        | Notice::Closed(_)
        | Notice::CloseTimedOut(_)
        | Notice::Unanswered(_)
        | Notice::Unsent(_)
        | Notice::EmptyInput
        | Notice::TimeUp(_)
        | Notice::TooFewMessages { .. }
        | Notice::LinesAfterExit => true,
    }
}

#[cfg(test)]
mod tests {
    use proto::close::CloseCode;

    use super::line;
    use crate::{
        console::{Event, Notice, Side},
        exit::Exit,
        websocket::{CloseFrame, Closed, Payload},
    };

    #[test]
    fn event_is_one_object_with_its_name_first() {
        let frame = |code, reason: &str| CloseFrame {
            code,
            reason: reason.to_owned(),
        };
        let lost = Closed::Lost(None);
        let by_peer = Closed::ByPeer(frame(CloseCode(1001), ""));
        for (event, expected) in [
            (
                Event::Connecting,
                r#"{"event":"state","state":"connecting"}"#,
            ),
            (
                Event::Opened { url: "ws://h/" },
                r#"{"event":"open","url":"ws://h/"}"#,
            ),
            (
                Event::LoggedIn { user: Some("jane") },
                r#"{"event":"login","user":"jane"}"#,
            ),
            (
                Event::LoggedIn { user: None },
                r#"{"event":"login","user":null}"#,
            ),
            (
                Event::Message(Payload::Text("a\"\n\u{7f}\u{9b}\u{202e}é😀")),
                r#"{"event":"message","text":"a\"\n\u007f\u009b\u202eé😀"}"#,
            ),
            (
                Event::Message(Payload::Binary(b"\0\xff")),
                r#"{"event":"message","base64":"AP8="}"#,
            ),
            (Event::Pong(b"x"), r#"{"event":"pong","base64":"eA=="}"#),
            (Event::Closing, r#"{"event":"state","state":"closing"}"#),
            (
                Event::Closed {
                    frame: &frame(CloseCode(3000), "no"),
                    by: Side::Server,
                },
                r#"{"event":"close","code":3000,"reason":"no","by":"server"}"#,
            ),
            (
                Event::Closed {
                    frame: &frame(CloseCode::ABSENT, ""),
                    by: Side::Client,
                },
                r#"{"event":"close","code":null,"reason":"","by":"client"}"#,
            ),
            (
                Event::Notice(Notice::Closed(&lost)),
                "{\"event\":\"error\",\"error\":\"the connection was lost: the server ended it without a \
                 close frame\"}",
            ),
            (Event::End(Exit::Closed), r#"{"event":"end","exit":8}"#),
        ] {
            assert_eq!(line(&event).unwrap(), format!("{expected}\n"));
        }
        for notice in [
            Notice::Goodbye,
            Notice::LoginMessage(Payload::Text("sorry")),
            Notice::Closed(&by_peer),
        ] {
            assert_eq!(line(&Event::Notice(notice)), None);
        }
    }
}
