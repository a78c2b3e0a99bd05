//! Requests that the server must refuse.

use http::StatusCode;
use integration_tests::{
    CHALLENGE, ServerProcess,
    attacks::{
        self,
        requests::{ALL, ExpectedResponse},
    },
};

use crate::well_behaved;

integration_tests::bad_requests!(test_each);

async fn attack(name: &str) {
    let bad = attacks::named(ALL, name);
    let request = (bad.bytes)();
    let server = ServerProcess::start().await;
    let mut peer = server.connect().await;
    peer.try_send(&request).await;
    let response = String::from_utf8(peer.rest().await).unwrap();
    match bad.expected {
        ExpectedResponse::Refusal(status, text) => {
            assert_refusal(&response, &request, status, text);
        }
        ExpectedResponse::BareStatus(status) => {
            let fields = ["connection: close", "content-length: 0"];
            assert_response(&response, &status_line("HTTP/1.1", status), &fields, "");
        }
        ExpectedResponse::Closed => assert_eq!(response, ""),
    }
    well_behaved::assert_served(&server).await;
}

/// Asserts that a response is the server's own refusal with this status and text.
#[track_caller]
fn assert_refusal(response: &str, request: &[u8], status: u16, text: &str) {
    let first_line = request.split(|byte| *byte == b'\r').next();
    let version = match first_line {
        Some(line) if line.ends_with(b"HTTP/1.0") => "HTTP/1.0",
        Some(_) | None => "HTTP/1.1",
    };
    let length = format!("content-length: {}", text.len() + 1);
    let mut fields = vec![length.as_str(), "content-type: text/plain; charset=utf-8"];
    let challenge = format!("{}: {}", CHALLENGE.0, CHALLENGE.1);
    let challenged = [challenge.as_str(), "connection: close"];
    fields.extend(match status {
        401 => &challenged[..],
        405 => &["allow: GET, HEAD", "connection: close"],
        426 => &[
            "connection: Upgrade, close",
            "sec-websocket-version: 13",
            "upgrade: websocket",
        ],
        _ => &["connection: close"],
    });
    let body = if request.starts_with(b"HEAD ") {
        String::new()
    } else {
        format!("{text}\n")
    };
    assert_response(response, &status_line(version, status), &fields, &body);
}

/// Asserts that a response has exactly this status line, these header fields besides `Date`, and
/// this body. So it repeats nothing of the request, and a second request gets no response.
#[track_caller]
fn assert_response(response: &str, status_line: &str, fields: &[&str], body: &str) {
    let (head, found_body) = response
        .split_once("\r\n\r\n")
        .expect("the head is complete");
    let mut lines = head.split("\r\n");
    assert_eq!(lines.next(), Some(status_line), "{response}");
    let field = |line: &str| {
        let (name, value) = line.split_once(": ").expect("each line is a header field");
        format!("{}: {value}", name.to_lowercase())
    };
    let mut found: Vec<_> = lines.map(field).collect();
    found.retain(|field| !field.starts_with("date: "));
    found.sort_unstable();
    let mut expected = fields.to_vec();
    expected.sort_unstable();
    assert_eq!(found, expected, "{response}");
    assert_eq!(found_body, body, "{response}");
}

fn status_line(version: &str, status: u16) -> String {
    let status = StatusCode::from_u16(status).expect("the status is valid");
    format!("{version} {status}")
}
