//! The checks of valid, invalid and incomplete responses, and the errors that follow from them.

use std::time::Duration;

use proptest::prelude::*;
use proto::key::Key;

use super::{
    error::HandshakeError,
    raw_response::{RawResponse, ReadError},
    response_part::ResponsePart,
    subprotocol::Subprotocols,
    verdict::{CheckOutcome, Verdict},
};

const ACCEPT: &str = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";

fn key() -> Key {
    Key::new(*b"the sample nonce")
}

/// Returns the verdict on a response after which the server closes the connection.
fn check(text: &str) -> Verdict {
    let bytes = text.as_bytes().to_vec();
    Verdict::check(
        &RawResponse::new(bytes, ReadError::Closed),
        &key(),
        &Subprotocols::default(),
    )
}

fn with_fields(fields: &str) -> Verdict {
    check(&format!("HTTP/1.1 101 Go\r\n{fields}\r\n"))
}

fn wrong_parts(verdict: &Verdict) -> Vec<ResponsePart> {
    let wrong = verdict
        .checks()
        .iter()
        .filter(|check| check.outcome == CheckOutcome::Wrong);
    wrong.map(|check| check.part).collect()
}

#[test]
fn valid_response_is_accepted_in_any_notation() {
    for fields in [
        "Upgrade: websocket\r\nConnection: Upgrade\r\n",
        "upgrade: WebSocket\r\nCONNECTION: keep-alive, UPGRADE\r\n",
        "Upgrade: h2c\r\nUpgrade: websocket\r\nConnection: x\r\nConnection: upgrade\r\n",
        "Upgrade:websocket\r\nConnection:,upgrade ,\r\nServer: x\r\n",
    ] {
        let verdict = with_fields(&format!("{fields}{ACCEPT}"));
        assert_eq!(verdict.error(), None, "{fields}");
        assert_eq!(wrong_parts(&verdict), []);
    }
}

#[test]
fn response_with_wrong_part_fails_in_that_part() {
    let upgrade = "Upgrade: websocket\r\n";
    let connection = "Connection: Upgrade\r\n";
    for (fields, part) in [
        (format!("{connection}{ACCEPT}"), ResponsePart::Upgrade),
        (
            format!("Upgrade: websockets\r\n{connection}{ACCEPT}"),
            ResponsePart::Upgrade,
        ),
        (format!("{upgrade}{ACCEPT}"), ResponsePart::Connection),
        (
            format!("{upgrade}Connection: close\r\n{ACCEPT}"),
            ResponsePart::Connection,
        ),
        (format!("{upgrade}{connection}"), ResponsePart::Accept),
        (
            // One letter differs in its case, and base64 is case-sensitive.
            format!("{upgrade}{connection}{}", ACCEPT.replace("xOo=", "xoo=")),
            ResponsePart::Accept,
        ),
        (
            format!("{upgrade}{connection}{ACCEPT}{ACCEPT}"),
            ResponsePart::Accept,
        ),
        (
            format!(
                "{upgrade}{connection}{ACCEPT}Sec-WebSocket-Extensions: permessage-deflate\r\n"
            ),
            ResponsePart::Extensions,
        ),
        (
            format!("{upgrade}{connection}{ACCEPT}Sec-WebSocket-Protocol: chat\r\n"),
            ResponsePart::Subprotocol,
        ),
    ] {
        let verdict = with_fields(&fields);
        assert_eq!(wrong_parts(&verdict), [part], "{fields}");
        assert!(
            matches!(verdict.error(), Some(HandshakeError::Wrong(found, _)) if found == part),
            "{fields}"
        );
    }
}

#[test]
fn status_other_than_101_fails_the_handshake() {
    let response = format!(
        "HTTP/1.1 302 Found\r\nLocation: ws://elsewhere/\r\nUpgrade: websocket\r\n\
         Connection: Upgrade\r\n{ACCEPT}\r\n"
    );
    let verdict = check(&response);
    assert_eq!(wrong_parts(&verdict), [ResponsePart::Status]);
    let error = verdict.error().unwrap();
    assert_eq!(
        error.to_string(),
        "the server answered HTTP/1.1 302 Found: it points to another place; a handshake \
         follows no redirect, so give the other URL: ws://elsewhere/"
    );
}

#[test]
fn refusal_needs_no_upgrade_fields() {
    for (code, is_checked) in [(101, true), (200, false), (403, false), (426, false)] {
        let verdict = check(&format!("HTTP/1.1 {code} x\r\n\r\n"));
        let wrong = wrong_parts(&verdict);
        for part in [
            ResponsePart::Upgrade,
            ResponsePart::Connection,
            ResponsePart::Accept,
        ] {
            assert_eq!(wrong.contains(&part), is_checked, "{code}");
        }
        for part in [
            ResponsePart::Upgrade,
            ResponsePart::Connection,
            ResponsePart::Accept,
            ResponsePart::Extensions,
            ResponsePart::Subprotocol,
        ] {
            let has_check = verdict.checks().iter().any(|check| check.part == part);
            assert_eq!(has_check, is_checked, "{code}");
        }
    }
}

#[test]
fn unauthorized_needs_a_challenge() {
    let refused = "the server answered HTTP/1.1 401 No: it wants credentials in the request";
    for (field, wrong, why, said) in [
        (
            "",
            &[ResponsePart::Status, ResponsePart::Challenge][..],
            "the field is missing; a 401 must name an authentication scheme",
            ", and does not say of which kind",
        ),
        (
            "WWW-Authenticate: \x1f?\r\n",
            &[ResponsePart::Status, ResponsePart::Fields],
            "",
            ", and does not say of which kind",
        ),
        (
            "WWW-Authenticate: realm=\"x\"\r\n",
            &[ResponsePart::Status, ResponsePart::Challenge],
            "it names no authentication scheme",
            ", and does not say of which kind",
        ),
        (
            "WWW-Authenticate: Bearer\r\nwww-authenticate: Digest realm=\"a, b\", qop=auth\r\n",
            &[ResponsePart::Status],
            "it accepts Bearer, which ws-client --bearer-file sends",
            "; ws-client --bearer-file sends a token",
        ),
        (
            "WWW-Authenticate: Digest realm=\"a, b\", Negotiate\r\n",
            &[ResponsePart::Status],
            "it accepts Digest, Negotiate; ws-client supports only Basic and Bearer",
            ", of a kind that ws-client does not know: Digest, Negotiate",
        ),
        (
            "WWW-Authenticate: Bearer, basic realm=x\r\n",
            &[ResponsePart::Status],
            "it accepts Basic, which ws-client --auth basic sends",
            "; ws-client --auth basic sends them",
        ),
    ] {
        let verdict = check(&format!("HTTP/1.1 401 No\r\n{field}\r\n"));
        assert_eq!(wrong_parts(&verdict), wrong, "{field:?}");
        let check = verdict
            .checks()
            .iter()
            .find(|check| check.part == ResponsePart::Challenge);
        assert_eq!(check.map_or("", |check| &check.why), why);
        assert_eq!(
            verdict.error().unwrap().to_string(),
            format!("{refused}{said}")
        );
    }
    // Other statuses need no challenge.
    let verdict = check("HTTP/1.1 403 No\r\n\r\n");
    assert_eq!(wrong_parts(&verdict), [ResponsePart::Status]);
}

#[test]
fn busy_server_shows_when_to_retry() {
    for (status, fields, said) in [
        (
            "429 Slow down",
            "Retry-After: 3\r\n",
            "it has had too many requests from here; try again in 3s",
        ),
        (
            "503 Full",
            "Retry-After: Wed, 25 Nov 2026 16:30:00 GMT\r\n",
            "it is full or about to stop; try again after Wed, 25 Nov 2026 16:30:00 GMT",
        ),
        (
            "503 Full",
            "",
            "it is full or about to stop; try again later",
        ),
    ] {
        let verdict = check(&format!("HTTP/1.1 {status}\r\n{fields}\r\n"));
        assert_eq!(verdict.checks()[1].why, format!("{said}; it must be 101"));
        assert_eq!(
            verdict.error().unwrap().to_string(),
            format!("the server answered HTTP/1.1 {status}: {said}")
        );
    }
}

#[test]
fn token_is_surrounded_by_spaces_and_tabs_only() {
    let other = format!("Connection: Upgrade\r\n{ACCEPT}");
    for (value, wrong) in [
        (" \t websocket \t", &[][..]),
        ("h2c \t,\t websocket", &[]),
        ("websocket\u{a0}", &[ResponsePart::Upgrade]),
        ("\u{3000}websocket", &[ResponsePart::Upgrade]),
    ] {
        let verdict = with_fields(&format!("Upgrade:{value}\r\n{other}"));
        assert_eq!(wrong_parts(&verdict), wrong, "{value:?}");
    }
}

#[test]
fn informational_heads_are_not_checked() {
    let valid_fields = format!("Upgrade: websocket\r\nConnection: Upgrade\r\n{ACCEPT}\r\n");
    let hints = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nUpgrade: x\r\n\r\n";
    let verdict = check(&format!("{hints}HTTP/1.1 101 Go\r\n{valid_fields}"));
    assert_eq!(verdict.error(), None);
    let error = check(&format!("{hints}HTTP/1.1 403 No\r\n\r\n")).error();
    assert!(matches!(error, Some(HandshakeError::Status(status)) if status.code == 403));
}

#[test]
fn malformed_informational_head_is_final() {
    let valid_fields = format!("Upgrade: websocket\r\nConnection: Upgrade\r\n{ACCEPT}\r\n");
    for (hint, part) in [
        (
            "\rHTTP/1.1 103 Early Hints\r\n\r\n",
            ResponsePart::StatusLine,
        ),
        ("HTTP/1.1 103 Early\0Hints\r\n\r\n", ResponsePart::Fields),
        (
            "HTTP/1.1 103 Early Hints\r\nLink\r\n\r\n",
            ResponsePart::Fields,
        ),
        (
            "HTTP/1.1 103 Early Hints\r\nLink: \0\r\n\r\n",
            ResponsePart::Fields,
        ),
    ] {
        let verdict = check(&format!("{hint}HTTP/1.1 101 Go\r\n{valid_fields}"));
        assert!(wrong_parts(&verdict).contains(&part), "{hint:?}");
        assert!(verdict.error().is_some(), "{hint:?}");
    }
}

#[test]
fn informational_heads_alone_are_no_response() {
    let hint = "HTTP/1.1 103 Early Hints\r\n\r\n";
    assert_eq!(check(hint).error(), Some(HandshakeError::Closed));
    let started = "HTTP/1.1 103 Early Hints\r\nLink";
    assert_eq!(
        check(started).error().unwrap().to_string(),
        "the server's answer is no WebSocket handshake: status: it is informational, and no final \
         answer follows; it must be 101"
    );
    // The second input ends exactly at the limit.
    for bytes in [hint.repeat(1000), "HTTP/1.1 103\r\n\r\n".repeat(1024)] {
        let response = RawResponse::new(bytes.into_bytes(), ReadError::TooLong);
        let verdict = Verdict::check(&response, &key(), &Subprotocols::default());
        assert!(verdict.error().is_some());
        assert!(wrong_parts(&verdict).contains(&ResponsePart::Fields));
    }
}

#[test]
fn malformed_status_line_is_wrong_and_quoted() {
    let form = "the answer does not begin with a status line; it must be like HTTP/1.1 101 Switching \
         Protocols";
    let version = "the answer is of another version of HTTP; it must be HTTP/1.1";
    let long = "x y".repeat(100);
    let short = format!("{}...", &long[..120]);
    for (line, found, why) in [
        ("HTTP/2 101 Go", "HTTP/2 101 Go", version),
        ("HTTP/0.9 101 Go", "HTTP/0.9 101 Go", version),
        ("HTTP/1.2 101", "HTTP/1.2 101", version),
        ("HTTP/1.1 1O1 Go", "HTTP/1.1 1O1 Go", form),
        ("HTTP/x 101 Go", "HTTP/x 101 Go", form),
        ("SSH-2.0-OpenSSH_9", "SSH-2.0-OpenSSH_9", form),
        ("-ERR \x1b[2J", "-ERR \\u{1b}[2J", form),
        (long.as_str(), short.as_str(), form),
        ("Server: x", "absent", form),
    ] {
        let verdict = check(&format!("{line}\r\nUpgrade: websocket\r\n\r\n"));
        let check = &verdict.checks()[0];
        assert_eq!(check.part, ResponsePart::StatusLine);
        assert_eq!(check.outcome, CheckOutcome::Wrong);
        assert_eq!((check.found.as_str(), check.why.as_str()), (found, why));
    }
}

#[test]
fn tls_alert_yields_advice_to_use_wss() {
    let verdict = check("\u{15}\u{3}\u{3}\0\u{2}\u{2}2");
    assert_eq!(
        verdict.error().unwrap().to_string(),
        "the server's answer is no WebSocket handshake: status line: the answer is TLS; the URL \
         must begin with wss://"
    );
}

#[test]
fn malformed_field_is_wrong_and_quoted() {
    let long = "x".repeat(1000);
    let short = format!("\"{}...\"", &long[..120]);
    for (line, found) in [
        ("Upgrade : websocket", "\"Upgrade : websocket\""),
        (" folded: x", "\" folded: x\""),
        ("A: b\x1b[2J", "\"A: b\\u{1b}[2J\""),
        ("A: b\0", "\"A: b\\u{0}\""),
        (": x", "\": x\""),
        (long.as_str(), short.as_str()),
    ] {
        for first in ["HTTP/1.1 101 Go", "HTTP/2 101 Go", "A: b"] {
            let verdict = check(&format!("{first}\r\nServer: x\r\n{line}\r\nB: c\r\n\r\n"));
            let check = &verdict.checks()[2];
            assert_eq!(check.part, ResponsePart::Fields);
            assert_eq!(check.found, found, "{first}");
            assert_eq!(
                check.why,
                "the answer has a line that is not a header field"
            );
        }
    }
}

#[test]
fn upgrade_by_http_1_0_is_wrong() {
    let response =
        format!("HTTP/1.0 101 Go\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{ACCEPT}\r\n");
    assert_eq!(wrong_parts(&check(&response)), [ResponsePart::StatusLine]);
}

#[test]
fn wrong_accept_value_is_explained() {
    for (value, explanation) in [
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
            "b37a4f2cc0624f1690f64606cf385945b2bec4ea",
            "this is the hash in hexadecimal, and not in base64",
        ),
        (
            "YjM3YTRmMmNjMDYyNGYxNjkwZjY0NjA2Y2YzODU5NDViMmJlYzRlYQ==",
            "this is base64 of the hash in hexadecimal, and not of its 20 raw bytes",
        ),
        (
            "AAAA",
            "this is 3 bytes in base64, and not the 20 of a hash",
        ),
        ("!", "this is not base64"),
    ] {
        let verdict = with_fields(&format!(
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {value}\r\n"
        ));
        let why = &verdict.checks()[5].why;
        assert!(why.ends_with(explanation), "{why}");
    }
}

#[test]
fn incomplete_head_is_reported_with_its_cause() {
    let started = b"HTTP/1.1 101 Go\r\nUpgrade: websocket".to_vec();
    for (bytes, read_error, said) in [
        (
            started.clone(),
            ReadError::TimedOut(Duration::from_secs(10)),
            "the server did not complete its answer within 10s",
        ),
        (
            Vec::new(),
            ReadError::Closed,
            "the server closed the connection without an answer",
        ),
        (
            started,
            ReadError::Closed,
            "the server's answer is no WebSocket handshake: header fields: the connection \
             ended before the empty line that ends the head",
        ),
    ] {
        let verdict = Verdict::check(
            &RawResponse::new(bytes, read_error),
            &key(),
            &Subprotocols::default(),
        );
        assert_eq!(verdict.error().unwrap().to_string(), said);
    }
}

#[test]
fn server_text_is_always_escaped() {
    let verdict = check("HTTP/1.1 403 \x1b]0;x\x07\r\nUpgrade: \u{202e}\r\n\r\n");
    let mut said: String = verdict
        .checks()
        .iter()
        .map(|check| check.found.as_str())
        .collect();
    said.push_str(&verdict.error().unwrap().to_string());
    assert!(!said.chars().any(proto::escape::is_unsafe), "{said:?}");
}

proptest! {
    #[test]
    fn any_bytes_are_checked_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let verdict = Verdict::check(&RawResponse::new(bytes, ReadError::Closed), &key(), &Subprotocols::default());
        prop_assert!(verdict.error().is_some());
    }
}

#[test]
fn selected_subprotocol_must_be_offered() {
    let names = ["v2", "v1"].map(|name| name.parse().unwrap());
    let offered = Subprotocols::new(names.into()).unwrap();
    for (fields, is_right, why) in [
        (
            "",
            true,
            "the request offers v2, v1, and the server selected none",
        ),
        (
            "Sec-WebSocket-Protocol: v1\r\n",
            true,
            "it is one of those offered: v2, v1",
        ),
        (
            "Sec-WebSocket-Protocol: V1\r\n",
            false,
            "it must be one of those offered: v2, v1",
        ),
        (
            "Sec-WebSocket-Protocol: v1, v2\r\n",
            false,
            "it must be one of those offered: v2, v1",
        ),
        (
            "Sec-WebSocket-Protocol: v1\r\nSec-WebSocket-Protocol: v2\r\n",
            false,
            "there is more than one; a server selects one",
        ),
    ] {
        let bytes = format!(
            "HTTP/1.1 101 Go\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{ACCEPT}{fields}\r\n"
        );
        let response = RawResponse::new(bytes.into_bytes(), ReadError::Closed);
        let verdict = Verdict::check(&response, &key(), &offered);
        assert_eq!(verdict.error().is_none(), is_right, "{fields}");
        assert_eq!(verdict.has_subprotocol(), !fields.is_empty());
        let last = verdict.checks().last().unwrap();
        assert_eq!(
            (last.part, last.why.as_str()),
            (ResponsePart::Subprotocol, why)
        );
    }
}
