//! `curl` with `ws-server`. Debian's build has no `ws://`, so the tests send the upgrade fields and
//! read the raw output.

use integration_tests::{
    ADMIN_SESSION, HttpResponse, LOGIN_FAILED_EVENT, SESSION_OPENED, ServerProcess, peer_program,
    spawn, wait_for_output, wrong_credentials_response,
};
use proto::close::CloseReason;
use rustix::process::Signal;
use tokio::process::{Child, Command};

/// Starts a `curl` that requests the upgrade and prints all response heads.
fn curl(server: &ServerProcess, arguments: &[&str]) -> Child {
    let mut command = Command::new(peer_program("curl/curl"));
    command
        .args(["--http1.1", "--include", "--no-buffer", "--silent"])
        // Ignore a configured proxy.
        .args(["--noproxy", "*"])
        .args(["--header", "Connection: Upgrade"])
        .args(["--header", "Upgrade: websocket"])
        .args(["--header", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="])
        .args(["--header", "Sec-WebSocket-Version: 13"])
        .args(arguments)
        .arg(format!("http://{}/", server.address));
    spawn(command)
}

/// Stops the server after the login. Asserts that only the 101 and the Close frame were received,
/// and returns the heads.
async fn assert_logged_in(mut server: ServerProcess, curl: Child) -> Vec<u8> {
    let opened = server.log_line(SESSION_OPENED).await;
    assert!(opened.ends_with(ADMIN_SESSION), "{opened}");
    server.signal(Signal::TERM);
    let printed = wait_for_output(curl).await.stdout;
    let reason = CloseReason::ShuttingDown { back_in: 2 }.text();
    let length = u8::try_from(2 + reason.len()).unwrap();
    let close = [&[0x88, length, 0x03, 0xE9], reason.as_bytes()].concat();
    let heads = printed.strip_suffix(&close[..]);
    heads
        .unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(&printed)))
        .to_owned()
}

#[tokio::test]
#[ignore = "needs the peers of .ci/peers"]
async fn logs_in_with_the_handshake() {
    let server = ServerProcess::start().await;
    let curl = curl(&server, &["--user", "admin:123456"]);
    let heads = assert_logged_in(server, curl).await;
    let answer = HttpResponse::parse(std::str::from_utf8(&heads).unwrap());
    assert_eq!(answer.status_line, "HTTP/1.1 101 Switching Protocols");
    assert_eq!(
        answer.field("sec-websocket-accept"),
        "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    );
    assert_eq!(answer.body, "");
}

/// `curl` first sends no credentials, and chooses the scheme by the challenge.
#[tokio::test]
#[ignore = "needs the peers of .ci/peers"]
async fn answers_the_basic_challenge() {
    let server = ServerProcess::start_with("[login]\nbasic = \"required\"").await;
    let curl = curl(&server, &["--anyauth", "--user", "admin:123456"]);
    let heads = assert_logged_in(server, curl).await;
    let heads = String::from_utf8(heads).unwrap();
    let statuses: Vec<_> = heads
        .lines()
        .filter(|line| line.starts_with("HTTP/"))
        .collect();
    assert_eq!(
        statuses,
        [
            "HTTP/1.1 401 Unauthorized",
            "HTTP/1.1 101 Switching Protocols"
        ],
        "{heads}"
    );
}

#[tokio::test]
#[ignore = "needs the peers of .ci/peers"]
async fn wrong_password_gets_401() {
    let mut server = ServerProcess::start().await;
    let output = wait_for_output(curl(&server, &["--user", "admin:1"])).await;
    assert_eq!(output.code, Some(0));
    let answer = HttpResponse::parse(&String::from_utf8(output.stdout).unwrap());
    assert_eq!(answer, wrong_credentials_response());
    server.log_line(LOGIN_FAILED_EVENT).await;
}
