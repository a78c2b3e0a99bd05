use std::time::Duration;

use proptest::prelude::*;
use proto::key::Key;

use super::{Incomplete, Outcome, Part, Received, Refusal, Verdict};
use crate::handshake::response::head_length;

const ACCEPT: &str = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";

fn key() -> Key {
    Key::new(*b"the sample nonce")
}

fn judge(text: &str) -> Verdict {
    let bytes = text.as_bytes().to_vec();
    let head = head_length(&bytes).ok_or(Incomplete::Closed);
    Verdict::judge(&Received { bytes, head }, &key())
}

fn with_fields(fields: &str) -> Verdict {
    judge(&format!("HTTP/1.1 101 Go\r\n{fields}\r\n"))
}

fn wrong_parts(verdict: &Verdict) -> Vec<Part> {
    let wrong = verdict
        .checks()
        .iter()
        .filter(|check| check.outcome == Outcome::Wrong);
    wrong.map(|check| check.part).collect()
}

#[test]
fn takes_a_right_answer_however_it_is_written() {
    for fields in [
        "Upgrade: websocket\r\nConnection: Upgrade\r\n",
        "upgrade: WebSocket\r\nCONNECTION: keep-alive, UPGRADE\r\n",
        "Upgrade: h2c\r\nUpgrade: websocket\r\nConnection: x\r\nConnection: upgrade\r\n",
        "Upgrade:websocket\r\nConnection:,upgrade ,\r\nServer: x\r\n",
    ] {
        let verdict = with_fields(&format!("{fields}{ACCEPT}"));
        assert_eq!(verdict.refusal(), None, "{fields}");
        assert_eq!(wrong_parts(&verdict), []);
    }
}

#[test]
fn finds_the_part_that_is_wrong() {
    let upgrade = "Upgrade: websocket\r\n";
    let connection = "Connection: Upgrade\r\n";
    for (fields, part) in [
        (format!("{connection}{ACCEPT}"), Part::Upgrade),
        (
            format!("Upgrade: websockets\r\n{connection}{ACCEPT}"),
            Part::Upgrade,
        ),
        (format!("{upgrade}{ACCEPT}"), Part::Connection),
        (
            format!("{upgrade}Connection: close\r\n{ACCEPT}"),
            Part::Connection,
        ),
        (format!("{upgrade}{connection}"), Part::Accept),
        (
            // One letter differs in its case, which base64 tells apart.
            format!("{upgrade}{connection}{}", ACCEPT.replace("xOo=", "xoo=")),
            Part::Accept,
        ),
        (
            format!("{upgrade}{connection}{ACCEPT}{ACCEPT}"),
            Part::Accept,
        ),
        (
            format!(
                "{upgrade}{connection}{ACCEPT}Sec-WebSocket-Extensions: permessage-deflate\r\n"
            ),
            Part::Extensions,
        ),
        (
            format!("{upgrade}{connection}{ACCEPT}Sec-WebSocket-Protocol: chat\r\n"),
            Part::Subprotocol,
        ),
    ] {
        let verdict = with_fields(&fields);
        assert_eq!(wrong_parts(&verdict), [part], "{fields}");
        assert!(
            matches!(verdict.refusal(), Some(Refusal::Wrong(found, _)) if found == part),
            "{fields}"
        );
    }
}

#[test]
fn a_status_other_than_101_is_the_refusal() {
    let answer = format!(
        "HTTP/1.1 302 Found\r\nLocation: ws://elsewhere/\r\nUpgrade: websocket\r\n\
         Connection: Upgrade\r\n{ACCEPT}\r\n"
    );
    let verdict = judge(&answer);
    assert_eq!(wrong_parts(&verdict), [Part::Status]);
    let refusal = verdict.refusal().unwrap();
    assert_eq!(
        refusal.to_string(),
        "the server answered HTTP/1.1 302 Found: it points to another place; a handshake \
         follows no redirect, so give the other URL"
    );
}

#[test]
fn http_1_0_cannot_upgrade() {
    let answer =
        format!("HTTP/1.0 101 Go\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{ACCEPT}\r\n");
    assert_eq!(wrong_parts(&judge(&answer)), [Part::StatusLine]);
}

#[test]
fn says_what_a_wrong_accept_value_seems_to_be() {
    for (value, guess) in [
        (
            "bG9jYWxob3N0",
            "this is \"localhost\" in base64, a constant",
        ),
        (
            "dGhlIHNhbXBsZSBub25jZQ==",
            "this is the key itself, not hashed",
        ),
        (
            "AAAAAAAAAAAAAAAAAAAAAAAAAAA=",
            "this is the hash of something else",
        ),
        (
            "AAAA",
            "this is 3 bytes in base64, and not the 20 of a hash",
        ),
        ("!", "this is not even base64"),
    ] {
        let verdict = with_fields(&format!(
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {value}\r\n"
        ));
        let why = &verdict.checks()[5].why;
        assert!(why.ends_with(guess), "{why}");
    }
}

#[test]
fn an_answer_that_never_ends_is_none() {
    let started = b"HTTP/1.1 101 Go\r\nUpgrade: websocket".to_vec();
    for (bytes, incomplete, said) in [
        (
            started.clone(),
            Incomplete::Silent(Duration::from_secs(10)),
            "the server did not complete its answer within 10s",
        ),
        (
            Vec::new(),
            Incomplete::Closed,
            "the server closed the connection without an answer",
        ),
        (
            started,
            Incomplete::Closed,
            "the server's answer is no WebSocket handshake: header fields: the connection \
             ended before the empty line that ends the head",
        ),
    ] {
        let head = Err(incomplete);
        let verdict = Verdict::judge(&Received { bytes, head }, &key());
        assert_eq!(verdict.refusal().unwrap().to_string(), said);
    }
}

#[test]
fn nothing_of_the_server_is_shown_unescaped() {
    let verdict = judge("HTTP/1.1 403 \x1b]0;x\x07\r\nUpgrade: \u{202e}\r\n\r\n");
    let mut said: String = verdict
        .checks()
        .iter()
        .map(|check| check.found.as_str())
        .collect();
    said.push_str(&verdict.refusal().unwrap().to_string());
    assert!(!said.chars().any(proto::escape::is_unsafe), "{said:?}");
}

proptest! {
    #[test]
    fn any_bytes_are_judged_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let head = head_length(&bytes).ok_or(Incomplete::Closed);
        let verdict = Verdict::judge(&Received { bytes, head }, &key());
        prop_assert!(verdict.refusal().is_some());
    }
}
