//! Complete reports of the `handshake` tool, as they are printed.

use std::time::Duration;

use proto::{key::Key, message::Credentials};

use super::report::HandshakeReport;
use crate::{
    endpoint::Endpoint,
    exit::Exit,
    handshake::{MAX_HEAD_BYTES, Origin, RawResponse, ReadError, Request},
};

const REQUEST: &str = "\
request to 127.0.0.1:9999
> GET / HTTP/1.1
> Host: 127.0.0.1:9999
> Upgrade: websocket
> Connection: Upgrade
> Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==
> Sec-WebSocket-Version: 13
>

why each line of the request is there
  GET / HTTP/1.1
         a handshake is a GET request of HTTP/1.1 (RFC 6455 section 4.1, request item 2)
  Host
         the host and port of the URL; one address can serve several (RFC 9112 section 3.2)
  Upgrade
         the protocol to change to (RFC 6455 section 4.1, request item 5)
  Connection
         Upgrade is a field of this connection only, so no proxy forwards it (RFC 9110 section 7.6.1)
  Sec-WebSocket-Key
         16 random bytes in base64; the accept value proves that the server read them (RFC 6455 section 4.1, request item 7)
  Sec-WebSocket-Version
         13, the version of RFC 6455 (RFC 6455 section 4.1, request item 9)
";

const ACCEPT: &str = " (RFC 6455 section 4.2.2, item 5.4)
  key         dGhlIHNhbXBsZSBub25jZQ==
              as in the request, not decoded
  GUID        258EAFA5-E914-47DA-95CA-C5AB0DC85B11
              the same for every connection
  one string  dGhlIHNhbXBsZSBub25jZQ==258EAFA5-E914-47DA-95CA-C5AB0DC85B11
  SHA-1       b37a4f2cc0624f1690f64606cf385945b2bec4ea
              20 raw bytes, shown as 40 hexadecimal digits
  base64      s3pPLMBiTxaQ9kYGzzhZRbK+xOo=
              of the 20 raw bytes, not of the 40 digits
";

fn request() -> Request {
    let endpoint = Endpoint::parse("ws://127.0.0.1:9999").unwrap();
    Request::new(endpoint, Key::new(*b"the sample nonce"), None)
}

fn report(bytes: &[u8], read_error: ReadError) -> HandshakeReport {
    HandshakeReport::new(
        None,
        &request(),
        &RawResponse::new(bytes.to_vec(), read_error),
    )
}

/// Compares the exit code and the whole report. The request and the accept value are the same for
/// all.
#[track_caller]
fn assert_report(answer: &[u8], read_error: ReadError, middle: &str, verdict: &str, exit: Exit) {
    let found = report(answer, read_error);
    let title = if middle.contains("\nrefusal\n") {
        "the accept value that a 101 would have"
    } else {
        "how the key becomes the accept value"
    };
    let expected = format!("{REQUEST}{middle}\n{title}{ACCEPT}\nverdict: {verdict}\n");
    assert_eq!(found.text, expected, "\n{}", found.text);
    assert_eq!(found.exit, exit);
}

#[test]
fn valid_response_is_reported() {
    assert_report(
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n\
          sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n\x81\x00",
        ReadError::Closed,
        "
response
< HTTP/1.1 101 Switching Protocols
< upgrade: websocket
< connection: Upgrade
< sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=
<
  2 more bytes follow the head

checks
  right  status line: HTTP/1.1 101 Switching Protocols
         a status line of HTTP/1.1 (RFC 9112 section 4)
  right  status: 101
         the connection changes to the WebSocket protocol (RFC 6455 section 4.1, response item 1)
  right  header fields: well-formed
         every line is a field, and an empty one ends them (RFC 9112 section 5)
  right  Upgrade: websocket
         it names websocket (RFC 6455 section 4.1, response item 2)
  right  Connection: Upgrade
         it names upgrade (RFC 6455 section 4.1, response item 3)
  right  Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=
         it is the value computed from the key (RFC 6455 section 4.1, response item 4)
  right  Sec-WebSocket-Extensions: absent
         the request offers none, so none is selected (RFC 6455 section 4.1, response item 5)
  right  Sec-WebSocket-Protocol: absent
         the request offers none, so none is selected (RFC 6455 section 4.1, response item 6)
",
        "right, the WebSocket is open",
        Exit::Ok,
    );
}

#[test]
fn response_of_the_tutorial_server_is_reported() {
    assert_report(
        b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: bG9jYWxob3N0\r\n\r\n",
        ReadError::Closed,
        "
response
< Upgrade: websocket
< Connection: Upgrade
< Sec-WebSocket-Accept: bG9jYWxob3N0
<

checks
  WRONG  status line: absent
         the answer does not begin with a status line; it must be like HTTP/1.1 101 Switching Protocols (RFC 9112 section 4)
  WRONG  status: absent
         without a status the upgrade is not accepted (RFC 6455 section 4.1, response item 1)
  right  header fields: well-formed
         every line is a field, and an empty one ends them (RFC 9112 section 5)
  right  Upgrade: websocket
         it names websocket (RFC 6455 section 4.1, response item 2)
  right  Connection: Upgrade
         it names upgrade (RFC 6455 section 4.1, response item 3)
  WRONG  Sec-WebSocket-Accept: bG9jYWxob3N0
         it must be s3pPLMBiTxaQ9kYGzzhZRbK+xOo=, which follows from the key; this is \"localhost\" in base64, a constant (RFC 6455 section 4.1, response item 4)
  right  Sec-WebSocket-Extensions: absent
         the request offers none, so none is selected (RFC 6455 section 4.1, response item 5)
  right  Sec-WebSocket-Protocol: absent
         the request offers none, so none is selected (RFC 6455 section 4.1, response item 6)
",
        "WRONG in 2 parts; the server's answer is no WebSocket handshake: status line: the answer \
         does not begin with a status line; it must be like HTTP/1.1 101 Switching Protocols",
        Exit::HandshakeRefused,
    );
}

#[test]
fn refusal_with_body_is_reported() {
    assert_report(
        b"HTTP/1.1 403 Forbidden\r\nContent-Length: 30\r\nConnection: close\r\n\r\n\
          this origin is not allowed\x1b[2J\n",
        ReadError::Closed,
        "
response
< HTTP/1.1 403 Forbidden
< Content-Length: 30
< Connection: close
<

checks
  right  status line: HTTP/1.1 403 Forbidden
         a status line of HTTP/1.1 (RFC 9112 section 4)
  WRONG  status: 403
         it refuses this origin, or this user; it must be 101 (RFC 6455 section 4.1, response item 1)
  right  header fields: well-formed
         every line is a field, and an empty one ends them (RFC 9112 section 5)

refusal
  403 in place of 101: the connection stays HTTP, and no WebSocket frame may follow
  Connection: close
         close: the connection ends after this response (RFC 9112 section 9.6)
  body: this origin is not allowed\\u{1b}[2J
         for a person; a program decides by the status
",
        "WRONG; the server answered HTTP/1.1 403 Forbidden: it refuses this origin, or this user",
        Exit::HandshakeRefused,
    );
}

#[test]
fn fields_of_a_refusal_are_explained() {
    let answer = b"HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\n\
                   Connection: Upgrade, close\r\nSec-WebSocket-Version: 8, 13\r\n\
                   Server: x\r\n\r\n";
    let text = report(answer, ReadError::Closed).text;
    let refusal = "
refusal
  426 in place of 101: the connection stays HTTP, and no WebSocket frame may follow
  Upgrade: websocket
         the protocols that the server accepts here (RFC 9110 section 7.8)
  Sec-WebSocket-Version: 8, 13
         the versions that the server supports (RFC 6455 section 4.4)
  Connection: Upgrade, close
         close: the connection ends after this response (RFC 9112 section 9.6)

the accept value that a 101 would have";
    assert!(text.contains(refusal), "{text}");
}

#[test]
fn each_line_of_a_request_has_a_reason() {
    let credentials = Credentials::parse("admin:123456").unwrap();
    let endpoint = Endpoint::parse("ws://127.0.0.1:9999").unwrap();
    let origin = Origin::parse("http://example.org").unwrap();
    let request = Request::new(endpoint, Key::new(*b"the sample nonce"), Some(origin))
        .with_credentials(&credentials);
    let response = RawResponse::new(Vec::new(), ReadError::Closed);
    let text = HandshakeReport::new(None, &request, &response).text;
    let reasons = text.split("\n\n").nth(1).unwrap().lines().skip(1);
    let reasons: Vec<&str> = reasons.collect();
    let lines = request.masked().lines().count() - 1;
    assert_eq!(reasons.len(), 2 * lines, "{text}");
    let of_request_line = reasons.iter().filter(|line| line.contains("a GET request"));
    assert_eq!(of_request_line.count(), 1, "{text}");
    let last = "         credentials, masked here (RFC 9110 section 11.6.2)";
    assert_eq!(reasons.last(), Some(&last));
}

#[test]
fn hint_before_chunked_refusal_is_reported() {
    assert_report(
        b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n\
          HTTP/1.1 503 Full\r\nTransfer-Encoding: chunked\r\n\r\n\
          5\r\ntry a\r\n5\r\ngain\n\r\n0\r\n\r\n",
        ReadError::Closed,
        "
response
< HTTP/1.1 103 Early Hints
< Link: </x>
<
< HTTP/1.1 503 Full
< Transfer-Encoding: chunked
<

checks
  right  status line: HTTP/1.1 503 Full
         a status line of HTTP/1.1 (RFC 9112 section 4)
  WRONG  status: 503
         it is full or about to stop; try again later; it must be 101 (RFC 6455 section 4.1, response item 1)
  right  header fields: well-formed
         every line is a field, and an empty one ends them (RFC 9112 section 5)

refusal
  503 in place of 101: the connection stays HTTP, and no WebSocket frame may follow
  body: try again
         for a person; a program decides by the status
",
        "WRONG; the server answered HTTP/1.1 503 Full: it is full or about to stop; try again later",
        Exit::HandshakeRefused,
    );
}

#[test]
fn credentials_of_the_request_are_masked() {
    let credentials = Credentials::parse("admin:123456").unwrap();
    let request = request().with_credentials(&credentials);
    let response = RawResponse::new(Vec::new(), ReadError::Closed);
    let text = HandshakeReport::new(None, &request, &response).text;
    assert!(text.contains("\n> Authorization: ***\n>\n"), "{text}");
    assert!(!text.contains("YWRtaW46MTIzNDU2"), "{text}");
}

#[test]
fn silent_server_is_reported() {
    assert_report(
        b"",
        ReadError::TimedOut(Duration::from_secs(10)),
        "\nresponse\n  nothing came\n",
        "WRONG; the server did not complete its answer within 10s",
        Exit::TimedOut,
    );
}

#[test]
fn other_protocol_is_reported() {
    let report = report(
        b"\x15\x03\x01\0\x02\x02\x16\n\xff\x1b[31m",
        ReadError::Closed,
    );
    assert!(
        report.text.contains(
            "\nresponse\n\
             < \\u{15}\\u{3}\\u{1}\\u{0}\\u{2}\\u{2}\\u{16}\n\
             < \u{fffd}\\u{1b}[31m\n\nchecks\n  WRONG  status line: \
             \\u{15}\\u{3}\\u{1}\\u{0}\\u{2}\\u{2}\\u{16}\n"
        ),
        "{}",
        report.text
    );
    assert_eq!(report.exit, Exit::HandshakeRefused);
}

#[test]
fn endless_head_is_reported() {
    let mut bytes = b"HTTP/1.1 101 Switching Protocols\r\n".to_vec();
    while bytes.len() < MAX_HEAD_BYTES {
        bytes.extend_from_slice(b"X: y\r\n");
    }
    let report = report(&bytes, ReadError::TooLong);
    assert!(
        report.text.contains("\n< ... and 2606 more lines\n"),
        "{}",
        report.text
    );
    assert!(report.text.contains(
        "  WRONG  header fields: more than 16384 bytes\n         \
         a head that long is no answer to a handshake (RFC 9112 section 5)\n\nhow "
    ));
    assert_eq!(report.exit, Exit::HandshakeRefused);
}
