//! The property of the client's verdict on a handshake response.

use std::{sync::LazyLock, time::Duration};

use proto::{escape::is_unsafe, key::Key};
use ws_client::{
    endpoint::Endpoint,
    exit::Exit,
    handshake::{RawResponse, ReadError, Request, Verdict, excerpt},
    tool::HandshakeReport,
};

use super::field::{Field, accept, field, lists, values};

/// The nonce of the request.
const NONCE: [u8; 16] = *b"the sample nonce";

/// The key of the request.
const KEY: &[u8] = b"dGhlIHNhbXBsZSBub25jZQ==";

/// The request.
static REQUEST: LazyLock<Request> = LazyLock::new(|| {
    let endpoint = Endpoint::parse("ws://127.0.0.1:5678").expect("the URL is valid");
    Request::new(endpoint, Key::new(NONCE), None)
});

/// The greatest length of the accepted response heads.
const MAX_HEAD_BYTES: usize = 16 * 1024;

/// The greatest number of header fields.
const MAX_FIELDS: usize = 100;

/// The greatest length of a report. It shows 120 lines of 1 KiB of a head and 512 bytes of a body,
/// and a byte takes at most 6 bytes.
const MAX_REPORT_BYTES: usize = 1024 * 1024;

/// Checks the verdict. The client accepts exactly the responses that RFC 6455 section 4.1 allows,
/// without anything that it did not request. The report on any response is safe to print.
///
/// # Panics
///
/// If the property does not hold.
pub fn check(data: &[u8]) {
    for incomplete in [
        ReadError::Closed,
        ReadError::TimedOut(Duration::from_secs(10)),
        ReadError::TooLong,
    ] {
        let response = RawResponse::new(data.to_vec(), incomplete);
        check_response(&REQUEST, &response);
        if response.incomplete().is_none() {
            // A complete response does not depend on the reason.
            break;
        }
    }
    assert_is_line(&excerpt(data, 512));
}

fn check_response(request: &Request, response: &RawResponse) {
    let verdict = Verdict::check(response, request.key(), request.subprotocols());
    let refusal = verdict.error();
    let upgrade_head_len = upgrade_head_len(&response.bytes);
    let text = response.bytes.escape_ascii();
    assert_eq!(
        refusal.is_none(),
        upgrade_head_len.is_some(),
        "{refusal:?}: {text}"
    );
    if let Some(length) = upgrade_head_len {
        assert_eq!(response.rest(), &response.bytes[length..]);
    }
    if let Some(refusal) = &refusal {
        assert_is_line(&refusal.to_string());
    }
    for check in verdict.checks() {
        assert_is_line(&check.found);
        assert_is_line(&check.why);
    }
    let report = HandshakeReport::new(None, request, response);
    assert_eq!(report.exit == Exit::Ok, refusal.is_none());
    assert!(
        report.text.len() < MAX_REPORT_BYTES,
        "{}",
        report.text.len()
    );
    report.text.lines().for_each(assert_is_line);
    assert!(response.body().len() <= response.bytes.len());
}

#[track_caller]
fn assert_is_line(text: &str) {
    assert!(!text.contains(is_unsafe), "{text:?}");
}

/// Returns the length of the response heads, if the response opens a WebSocket.
fn upgrade_head_len(bytes: &[u8]) -> Option<usize> {
    let mut rest = bytes;
    let fields = loop {
        match take_head(&mut rest)? {
            (b'1', b"101", fields) => break fields,
            (_, b"101", _) => return None,
            // An informational response precedes another one.
            (_, [b'1', _, _], _) => {}
            _ => return None,
        }
    };
    let length = bytes.len() - rest.len();
    let accepted = accept(KEY);
    let is_right = length <= MAX_HEAD_BYTES
        && lists(&fields, "upgrade", "websocket")
        && lists(&fields, "connection", "upgrade")
        && values(&fields, "sec-websocket-accept") == [accepted.as_bytes()]
        && values(&fields, "sec-websocket-extensions").is_empty()
        && values(&fields, "sec-websocket-protocol").is_empty();
    is_right.then_some(length)
}

/// Reads a head including its empty line: the minor version, the status and the fields. Returns
/// `None` if it is incomplete or malformed.
fn take_head<'b>(rest: &mut &'b [u8]) -> Option<(u8, &'b [u8], Vec<Field>)> {
    let mut line = take_line(rest)?;
    if line.is_empty() {
        // One empty line before a head is skipped.
        line = take_line(rest)?;
    }
    let (version, line) = line.strip_prefix(b"HTTP/1.")?.split_first()?;
    let (status, reason) = line.strip_prefix(b" ")?.split_at_checked(3)?;
    let is_status_line = matches!(version, b'0' | b'1')
        && status.iter().all(u8::is_ascii_digit)
        && matches!(reason, [] | [b' ', ..])
        && reason.iter().copied().all(is_of_text);
    let mut fields = Vec::new();
    while let line @ [_, ..] = take_line(rest)? {
        fields.push(field_of(line)?);
    }
    (is_status_line && fields.len() <= MAX_FIELDS).then_some((*version, status, fields))
}

/// Reads a line, and returns it without its line ending.
fn take_line<'b>(rest: &mut &'b [u8]) -> Option<&'b [u8]> {
    let end = rest.iter().position(|byte| *byte == b'\n')?;
    let line = &rest[..end];
    *rest = &rest[end + 1..];
    Some(line.strip_suffix(b"\r").unwrap_or(line))
}

/// Returns whether a byte may occur in a field value or a reason phrase.
fn is_of_text(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7F)
}

/// Parses a header field (RFC 9112 section 5).
fn field_of(line: &[u8]) -> Option<Field> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let (name, value) = (
        std::str::from_utf8(&line[..colon]).ok()?,
        &line[colon + 1..],
    );
    let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let is_field =
        !name.is_empty() && name.bytes().all(is_of_name) && value.iter().copied().all(is_of_text);
    is_field.then(|| field(name, value))
}

/// Returns responses of conforming, broken and other servers.
pub fn seeds() -> Vec<(String, Vec<u8>)> {
    let fields = "Upgrade: websocket\r\nConnection: Upgrade\r\n\
                  Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";
    let good = format!("HTTP/1.1 101 Switching Protocols\r\n{fields}\r\n");
    let with = |more: &str| good.replace("\r\n\r\n", &format!("\r\n{more}\r\n\r\n"));
    let hint = "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n";
    let seeds: [(&str, String); 17] = [
        ("good", good.clone()),
        ("good_with_frames", format!("{good}\u{1}\u{2}hi")),
        ("good_after_hints", format!("{hint}{hint}{good}")),
        (
            "good_after_a_broken_hint",
            format!("\rHTTP/1.1 103 x\r\nLink\0\r\n\r\n{good}"),
        ),
        ("good_on_bare_line_feeds", good.replace("\r\n", "\n")),
        (
            "lists",
            good.replace(": Upgrade", ": keep-alive, Upgrade")
                .replace(": websocket", ": h2c\r\nUpgrade: , WebSocket ,"),
        ),
        ("constant_accept", good.replace("s3pPLMBi", "AAAAAAAA")),
        (
            "key_for_accept",
            good.replace("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "dGhlIHNhbXBsZSBub25jZQ=="),
        ),
        (
            "extension",
            with("Sec-WebSocket-Extensions: permessage-deflate"),
        ),
        ("subprotocol", with("Sec-WebSocket-Protocol: chat")),
        ("folded", with("X: one\r\n two")),
        ("escape", with("X: \x1b]0;title\x07")),
        ("no_status_line", fields.to_owned() + "\r\n"),
        ("http_1_0", good.replace("HTTP/1.1", "HTTP/1.0")),
        (
            "redirect",
            "HTTP/1.1 302 Found\r\nLocation: ws://evil.example/\r\n\r\n".to_owned(),
        ),
        (
            "chunked_refusal",
            "HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nno!\r\n0\r\n\r\n".to_owned(),
        ),
        ("not_http", "SSH-2.0-OpenSSH_9.9\r\n".to_owned()),
    ];
    let named = seeds.map(|(name, text)| (name.to_owned(), text.into_bytes()));
    named.into()
}
