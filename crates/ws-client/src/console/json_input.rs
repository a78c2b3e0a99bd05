//! The objects of the input (`--json-input`). The page `events.md` describes them.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use proto::close::CloseCode;
use serde::Deserialize;

use super::entry::Entry;
use crate::websocket::{Bytes, CloseFrame, MAX_CLOSE_REASON, MAX_CONTROL_PAYLOAD};

/// An object as it is read. It has one of the first four keys.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Object {
    send: Option<String>,
    send_base64: Option<String>,
    ping: Option<String>,
    close: Option<u16>,
    /// The reason of `close`.
    reason: Option<String>,
}

/// Parses a line of the input.
///
/// # Errors
///
/// Returns the fault of the line.
pub(super) fn parse(line: &str) -> Result<Entry, String> {
    let object: Object = serde_json::from_str(line).map_err(|error| error.to_string())?;
    match object {
        Object {
            send: Some(text),
            send_base64: None,
            ping: None,
            close: None,
            reason: None,
        } => Ok(Entry::Line(text)),
        Object {
            send: None,
            send_base64: Some(encoded),
            ping: None,
            close: None,
            reason: None,
        } => match STANDARD.decode(encoded) {
            Ok(bytes) => Ok(Entry::Chunk(bytes.into())),
            Err(_) => Err("the value of send_base64 is not base64".to_owned()),
        },
        Object {
            send: None,
            send_base64: None,
            ping: Some(payload),
            close: None,
            reason: None,
        } if payload.len() <= MAX_CONTROL_PAYLOAD => Ok(Entry::Ping(Bytes::from(payload))),
        Object {
            ping: Some(payload),
            ..
        } if payload.len() > MAX_CONTROL_PAYLOAD => {
            Err(format!("a ping has at most {MAX_CONTROL_PAYLOAD} bytes"))
        }
        Object {
            send: None,
            send_base64: None,
            ping: None,
            close: Some(code),
            reason,
        } => close(CloseCode(code), reason.unwrap_or_default()),
        Object { .. } => Err(
            "write one of the keys send, send_base64, ping and close, and reason only with close"
                .to_owned(),
        ),
    }
}

fn close(code: CloseCode, reason: String) -> Result<Entry, String> {
    if !code.may_be_sent() {
        Err(format!("close code {code} must not be sent"))
    } else if reason.len() > MAX_CLOSE_REASON {
        Err(format!("a reason has at most {MAX_CLOSE_REASON} bytes"))
    } else {
        Ok(Entry::Close(CloseFrame { code, reason }))
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    fn parsed(line: &str) -> String {
        match parse(line) {
            Ok(entry) => format!("{entry:?}"),
            Err(problem) => problem,
        }
    }

    #[test]
    fn object_is_a_message_a_ping_or_a_close() {
        for (line, entry) in [
            (r#"{"send":"a\nb"}"#, r#"Line("a\nb")"#),
            (r#" { "send" : "" } "#, r#"Line("")"#),
            (r#"{"send_base64":"AP8="}"#, r#"Chunk(b"\0\xff")"#),
            (r#"{"ping":"x"}"#, r#"Ping(b"x")"#),
            (
                r#"{"close":1000}"#,
                r#"Close(CloseFrame { code: CloseCode(1000), reason: "" })"#,
            ),
            (
                r#"{"reason":"bye","close":4999}"#,
                r#"Close(CloseFrame { code: CloseCode(4999), reason: "bye" })"#,
            ),
        ] {
            assert_eq!(parsed(line), entry, "{line}");
        }
    }

    #[test]
    fn wrong_object_is_explained() {
        let one_key =
            "write one of the keys send, send_base64, ping and close, and reason only with close";
        let long = "x".repeat(126);
        for (line, problem) in [
            ("{}", one_key),
            (r#"{"send":"a","ping":"b"}"#, one_key),
            (r#"{"send":"a","reason":"b"}"#, one_key),
            (
                r#"{"send_base64":"?"}"#,
                "the value of send_base64 is not base64",
            ),
            (r#"{"close":1005}"#, "close code 1005 must not be sent"),
            (
                &format!(r#"{{"ping":"{long}"}}"#),
                "a ping has at most 125 bytes",
            ),
            (
                &format!(r#"{{"close":1000,"reason":"{long}"}}"#),
                "a reason has at most 123 bytes",
            ),
        ] {
            assert_eq!(parsed(line), problem, "{line}");
        }
        for line in [
            "",
            "hello",
            "[]",
            r#"{"sent":"a"}"#,
            r#"{"send":1}"#,
            r#"{"close":"x"}"#,
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
