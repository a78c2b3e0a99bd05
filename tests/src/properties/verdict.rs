//! What a client makes of the answer to its handshake.

use std::{sync::LazyLock, time::Duration};

use proto::{escape::is_unsafe, key::Key};
use ws_client::{
    endpoint::Endpoint,
    exit::Exit,
    handshake::{
        received::{Incomplete, Received},
        report::{Report, excerpt},
        request::Request,
        verdict::Verdict,
    },
};

use super::field::{Field, accept, field, lists, values};

/// The nonce of the request.
const NONCE: [u8; 16] = *b"the sample nonce";

/// The key that is made of it, as it stands in the request.
const KEY: &[u8] = b"dGhlIHNhbXBsZSBub25jZQ==";

/// What was asked.
static REQUEST: LazyLock<Request> = LazyLock::new(|| {
    let endpoint = Endpoint::parse("ws://127.0.0.1:5678").expect("it is an endpoint");
    Request::new(endpoint, Key::new(NONCE), None)
});

/// The greatest length of the heads of an answer that is taken.
const MAX_HEAD_BYTES: usize = 16 * 1024;

/// The greatest length of a report. Of a head 120 lines of 1 KiB are shown, of a body half a KiB, and
/// a byte becomes 8 at most.
const MAX_REPORT_BYTES: usize = 1024 * 1024;

/// Whatever comes, there is a verdict. An answer that is taken is all that RFC 6455 section 4.1
/// demands, and nothing that was not asked for; and what is said about any answer can be written to a
/// terminal.
///
/// # Panics
///
/// If that does not hold.
pub fn check(data: &[u8]) {
    for incomplete in [
        Incomplete::Closed,
        Incomplete::Silent(Duration::from_secs(10)),
        Incomplete::TooLong,
    ] {
        let received = Received::new(data.to_vec(), incomplete);
        check_received(&REQUEST, &received);
        if received.incomplete().is_none() {
            // It came whole, and why it might not have does not matter.
            break;
        }
    }
    assert_is_line(&excerpt(data, 512));
}

fn check_received(request: &Request, received: &Received) {
    let verdict = Verdict::judge(received, request.key());
    let refusal = verdict.refusal();
    match &refusal {
        None => assert_opens(received),
        Some(refusal) => assert_is_line(&refusal.to_string()),
    }
    for check in verdict.checks() {
        assert_is_line(&check.found);
        assert_is_line(&check.why);
    }
    let report = Report::new(request, received);
    assert_eq!(report.exit == Exit::Ok, refusal.is_none());
    assert!(
        report.text.len() < MAX_REPORT_BYTES,
        "{}",
        report.text.len()
    );
    report.text.lines().for_each(assert_is_line);
    assert!(received.body().len() <= received.bytes.len());
}

#[track_caller]
fn assert_is_line(text: &str) {
    assert!(!text.contains(is_unsafe), "{text:?}");
}

/// Asserts that an answer opens a WebSocket.
fn assert_opens(received: &Received) {
    let bytes = &received.bytes;
    assert_eq!(received.incomplete(), None, "{bytes:?}");
    let (status_line, fields, length) = final_head(bytes);
    assert!(length <= MAX_HEAD_BYTES, "{length} bytes");
    assert_eq!(received.rest(), &bytes[length..]);
    assert!(
        status_line == b"HTTP/1.1 101" || status_line.starts_with(b"HTTP/1.1 101 "),
        "{bytes:?}"
    );
    assert!(lists(&fields, "upgrade", "websocket"), "{bytes:?}");
    assert!(lists(&fields, "connection", "upgrade"), "{bytes:?}");
    assert_eq!(
        values(&fields, "sec-websocket-accept"),
        [accept(KEY).as_bytes()],
        "{bytes:?}"
    );
    for unasked in ["sec-websocket-extensions", "sec-websocket-protocol"] {
        assert!(values(&fields, unasked).is_empty(), "{bytes:?}");
    }
}

/// The first line of the head that is not of an informational answer, its fields, and where it ends.
fn final_head(bytes: &[u8]) -> (&[u8], Vec<Field>, usize) {
    let mut lines = bytes.split_inclusive(|byte| *byte == b'\n');
    let mut length = 0;
    let mut next = || {
        let line = lines.next().expect("a head that is taken is whole");
        length += line.len();
        let line = line.strip_suffix(b"\n").expect("each line has an end");
        (line.strip_suffix(b"\r").unwrap_or(line), length)
    };
    loop {
        let mut status_line = next().0;
        while status_line.is_empty() {
            status_line = next().0;
        }
        let mut fields = Vec::new();
        let length = loop {
            match next() {
                (b"", length) => break length,
                (line, _) => fields.push(field_of(line)),
            }
        };
        let informs = matches!(
            status_line,
            [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'0' | b'1', b' ', b'1', tens, ones, ..]
                if (*tens, *ones) != (b'0', b'1')
        );
        if !informs {
            let fields = fields.into_iter().map(|field| {
                field.unwrap_or_else(|| panic!("a line that is no field is taken: {bytes:?}"))
            });
            return (status_line, fields.collect(), length);
        }
    }
}

/// A line, if it is a field (RFC 9112 section 5).
fn field_of(line: &[u8]) -> Option<Field> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let (name, value) = (
        std::str::from_utf8(&line[..colon]).ok()?,
        &line[colon + 1..],
    );
    let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let is_of_value = |byte: &u8| *byte == b'\t' || (*byte >= b' ' && *byte != 0x7F);
    let is_field =
        !name.is_empty() && name.bytes().all(is_of_name) && value.iter().all(is_of_value);
    is_field.then(|| field(name, value))
}

/// Answers of good, bad and other servers.
pub fn seeds() -> Vec<(String, Vec<u8>)> {
    let fields = "Upgrade: websocket\r\nConnection: Upgrade\r\n\
                  Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";
    let good = format!("HTTP/1.1 101 Switching Protocols\r\n{fields}\r\n");
    let with = |more: &str| good.replace("\r\n\r\n", &format!("\r\n{more}\r\n\r\n"));
    let hint = "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n";
    let seeds: [(&str, String); 16] = [
        ("good", good.clone()),
        ("good_with_frames", format!("{good}\u{1}\u{2}hi")),
        ("good_after_hints", format!("{hint}{hint}{good}")),
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
