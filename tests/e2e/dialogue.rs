//! The tutorial's dialogue between both binaries.

use integration_tests::{
    CLOSED_BY_USER_EXIT, GOODBYE, SESSION_ENDED, SESSION_OPENED, SORRY, ServerProcess, client,
    echoed_lines, run, welcome_and_goodbye,
};
use proto::close::CloseReason;

#[tokio::test]
async fn dialogue_with_one_wrong_login_exits_with_0() {
    let mut server = ServerProcess::start().await;
    let input = "admin:1\nadmin:123456\nhello\nyou there\nexit\n";
    let finished = run(client([server.url()]), input).await;
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert_eq!(finished.stdout(), echoed_lines(["hello", "you there"]));
    let expected = format!("{SORRY}\n{}", welcome_and_goodbye());
    assert_eq!(finished.stderr, expected);
    let ended = server.log_line(SESSION_ENDED).await;
    assert!(ended.contains(CLOSED_BY_USER_EXIT), "{ended}");
    assert!(
        ended.contains("messages_in=2 bytes_in=14 messages_out=2"),
        "{ended}"
    );
}

#[tokio::test]
async fn exit_before_the_login_exits_with_0() {
    let server = ServerProcess::start().await;
    let finished = run(client([server.url()]), "exit\n").await;
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert_eq!(finished.stderr, format!("{GOODBYE}\n"));
}

#[tokio::test]
async fn sixth_wrong_line_closes_the_connection() {
    let server = ServerProcess::start().await;
    let finished = run(client([server.url()]), "admin:wrong\n".repeat(8)).await;
    assert_eq!(finished.code, Some(3), "{finished:?}");
    assert_eq!(finished.stdout(), "");
    assert_eq!(
        finished.stderr.matches(SORRY).count(),
        6,
        "{}",
        finished.stderr
    );
    assert!(finished.stderr.contains("3000"), "{}", finished.stderr);
    assert!(
        finished
            .stderr
            .contains(&*CloseReason::TooManyAttempts.text()),
        "{}",
        finished.stderr
    );
}

#[tokio::test]
async fn configured_credentials_log_in_without_stdin() {
    let server = ServerProcess::start().await;
    let directory = tempfile::TempDir::new().unwrap();
    let password = directory.path().join("password");
    std::fs::write(&password, "123456\n").unwrap();
    let password = password.to_str().unwrap();
    let url = server.url();
    let arguments = [url.as_str(), "--user", "admin", "--password-file", password];
    let finished = run(client(arguments), "admin:123456\n").await;
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert_eq!(finished.stdout(), echoed_lines(["admin:123456"]));

    std::fs::write(password, "wrong").unwrap();
    let finished = run(client(arguments), "never sent\n").await;
    assert_eq!(finished.code, Some(3), "{finished:?}");
    assert_eq!(finished.stdout(), "");
}

/// Credentials in the client's configuration belong to the URL in the same file.
#[tokio::test]
async fn configured_credentials_stay_with_their_url() {
    let (mut server, other) = (ServerProcess::start().await, ServerProcess::start().await);
    let directory = tempfile::TempDir::new().unwrap();
    std::fs::write(directory.path().join("password"), "123456").unwrap();
    let configuration = directory.path().join("client.toml");
    let text = format!(
        "url = \"{}\"\n[login]\nuser = \"admin\"\npassword_file = \"password\"\n",
        other.url()
    );
    std::fs::write(&configuration, text).unwrap();
    let configuration = configuration.to_str().unwrap();

    let finished = run(client(["--config", configuration]), "hello\n").await;
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert_eq!(finished.stdout(), echoed_lines(["hello"]));

    let url = server.url();
    let finished = run(client(["--config", configuration, &url]), "").await;
    assert_eq!(finished.code, Some(3), "{finished:?}");
    server.signal(rustix::process::Signal::TERM);
    server.log_line("stopping").await;
    let (_, _, log) = server.finish().await;
    assert!(!log.contains(SESSION_OPENED), "{log}");
}

#[tokio::test]
async fn refused_connection_exits_with_4_and_404_with_6() {
    let server = ServerProcess::start().await;
    let url = server.url();
    let finished = run(client([format!("{url}/nowhere")]), "").await;
    assert_eq!(finished.code, Some(6), "{finished:?}");
    assert!(finished.stderr.contains("404"), "{}", finished.stderr);
    server.signal(rustix::process::Signal::TERM);
    server.finish().await;
    let finished = run(client([url]), "").await;
    assert_eq!(finished.code, Some(4), "{finished:?}");
    assert!(finished.stderr.contains("refused"), "{}", finished.stderr);
}

#[tokio::test]
async fn handshake_command_prints_both_heads() {
    let server = ServerProcess::start().await;
    let finished = run(client(["handshake", &server.url()]), "").await;
    assert_eq!(finished.code, Some(0), "{finished:?}");
    let report = finished.stdout();
    for line in [
        "> GET / HTTP/1.1\n",
        "> Sec-WebSocket-Version: 13\n",
        "< HTTP/1.1 101 Switching Protocols\n",
        "258EAFA5-E914-47DA-95CA-C5AB0DC85B11\n",
        "verdict: right",
    ] {
        assert!(report.contains(line), "{line:?} is not in {report}");
    }
    let finished = run(
        client(["handshake", &format!("{}/nowhere", server.url())]),
        "",
    )
    .await;
    assert_eq!(finished.code, Some(6), "{finished:?}");
    assert!(
        finished.stdout().contains("< HTTP/1.1 404 Not Found\n"),
        "{}",
        finished.stdout()
    );
}
