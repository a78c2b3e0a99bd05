//! The page `crates/ws-client/docs/handshake.md`, compared with both programs.

use std::fs;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use integration_tests::{HttpResponse, ServerProcess, client, root, run};
use proto::key::Key;

/// The key of all examples, from RFC 6455 section 1.3.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// The lines of a request, with a part of its row on the page.
const REQUEST: [(&str, &str); 6] = [
    ("GET / HTTP/1.1", "| `GET / HTTP/1.1` |"),
    ("Host: 127.0.0.1:5678", "| `Host` |"),
    ("Upgrade: websocket", "| `Upgrade: websocket` |"),
    ("Connection: Upgrade", "| `Connection: Upgrade` |"),
    (
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "| `Sec-WebSocket-Key` |",
    ),
    (
        "Sec-WebSocket-Version: 13",
        "| `Sec-WebSocket-Version: 13` |",
    ),
];

fn page() -> String {
    fs::read_to_string(root().join("crates/ws-client/docs/handshake.md")).unwrap()
}

/// Returns the text blocks of the page.
fn blocks(page: &str) -> Vec<&str> {
    let blocks = page.split("\n```text\n").skip(1);
    blocks
        .map(|block| block.split_once("```\n").unwrap().0)
        .collect()
}

/// Returns the report of a handshake at this path, with the address and the date of the page.
async fn report(server: &ServerProcess, path: &str, code: i32) -> String {
    let url = format!("{}{path}", server.url());
    let finished = run(client(["handshake", "--websocket-key", KEY, &url]), "").await;
    assert_eq!(finished.code, Some(code), "{finished:?}");
    let address = server.address.to_string();
    let report = finished.stdout().replace(&address, "127.0.0.1:5678");
    let lines = report.lines().map(|line| match line {
        _ if line.starts_with("< Date: ") => "< Date: Sun, 22 Nov 2026 21:35:40 GMT\n".to_owned(),
        _ => format!("{line}\n"),
    });
    lines.collect()
}

#[tokio::test]
async fn handshake_page_shows_the_real_reports() {
    let server = ServerProcess::start().await;
    let page = page();
    let [valid, refused] = blocks(&page)[..] else {
        panic!("{page}");
    };
    assert_eq!(report(&server, "/", 0).await, valid);
    let whole = report(&server, "/nowhere", 6).await;
    assert!(refused.starts_with("response\n"), "{refused}");
    assert!(whole.contains(&format!("\n{refused}\n")), "{whole}");
}

#[tokio::test]
async fn request_without_a_line_gets_the_answer_shown() {
    let server = ServerProcess::start().await;
    let page = page();
    for (line, row) in &REQUEST[1..] {
        let lines = REQUEST.iter().filter(|(other, _)| other != line);
        let request: Vec<&str> = lines.map(|(line, _)| *line).collect();
        let mut peer = server.connect().await;
        peer.send(request.join("\r\n") + "\r\n\r\n").await;
        let answer = String::from_utf8(peer.rest().await).unwrap();
        let answer = HttpResponse::parse(&answer);
        let status = answer.status_line.split(' ').nth(1).unwrap();
        let shown = format!("| {status} `{}` |", answer.body.trim_end());
        let row = page.lines().find(|line| line.starts_with(row)).unwrap();
        assert!(row.ends_with(&shown), "{row}: {shown}");
    }
}

#[test]
fn accept_values_of_the_page_are_computed() {
    let key = Key::parse(KEY).unwrap();
    let page = page();
    for (encoded, value) in [
        ("the 20 raw bytes".to_owned(), key.accept()),
        (
            format!("the text `{}`", key.digest_hex()),
            BASE64_STANDARD.encode(key.digest_hex()),
        ),
    ] {
        let row = format!("\n| {encoded} | `{value}` |\n");
        assert!(page.contains(&row), "{row}");
    }
}
