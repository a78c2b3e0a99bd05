//! Sessions of the client that end by a goal or a time limit.

use std::time::{Duration, Instant};

use integration_tests::{
    SESSION_ENDED, SESSION_OPENED, ServerFiles, ServerProcess, admin_account, client, echoed_lines,
    run, spawn, wait_for_output,
};
use rustix::process::Signal;
use tokio::io::AsyncWriteExt as _;

const LOGIN: &str = "admin:123456\n";

#[tokio::test]
async fn count_of_answers_ends_the_client() {
    let mut server = ServerProcess::start().await;
    let url = server.url();
    for (arguments, answers) in [(&["-1"][..], &["1"][..]), (&["--count", "2"], &["1", "2"])] {
        // The input stays open: only the count ends the client.
        let mut child = spawn(client([&[url.as_str()], arguments].concat()));
        let mut stdin = child.stdin.take().unwrap();
        let input = format!("{LOGIN}1\n2\n3\n");
        stdin.write_all(input.as_bytes()).await.unwrap();
        let finished = wait_for_output(child).await;
        assert_eq!(finished.code, Some(0), "{finished:?}");
        assert_eq!(finished.stdout(), echoed_lines(answers));
        let ended = server.log_line(SESSION_ENDED).await;
        assert!(ended.contains("code=1000"), "{ended}");
    }
}

#[tokio::test]
async fn too_few_messages_or_too_late_has_its_code() {
    let server = ServerProcess::start().await;
    let url = server.url();
    let input = format!("{LOGIN}hello\nexit\n");
    let finished = run(client([&url, "--count", "2"]), &input).await;
    assert_eq!(finished.code, Some(9), "{finished:?}");
    assert_eq!(finished.stdout(), echoed_lines(["hello"]));
    let notice = "ws-client: only 1 message of 2 arrived\n";
    assert!(finished.stderr.ends_with(notice), "{}", finished.stderr);
    let began = Instant::now();
    let finished = run(client([&url, "--count", "2", "-m", "0.5"]), LOGIN).await;
    assert_eq!(finished.code, Some(7), "{finished:?}");
    assert!(began.elapsed() >= Duration::from_millis(500));
}

const PUBLIC_ECHO: &str = "[[route]]\npath = \"/\"\nservice = \"echo\"\npublic = true\n";

#[tokio::test]
async fn listener_collects_until_its_time_is_over() {
    let files = ServerFiles::new(PUBLIC_ECHO, &admin_account());
    let server = files.serve().await;
    let url = server.url();
    let arguments = [
        &url,
        "--auth",
        "none",
        "--linger",
        "forever",
        "--timeout",
        "10",
    ];
    let finished = run(client(arguments), "hello\n").await;
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert_eq!(finished.stdout(), echoed_lines(["hello"]));
    assert_eq!(finished.stderr, "");
}

#[tokio::test]
async fn empty_input_is_an_error_that_names_the_option() {
    let mut server = ServerProcess::start().await;
    let url = server.url();
    let arguments = [&url, "-u", "admin", "--password-command", "echo 123456"];
    let finished = run(client(arguments), "").await;
    assert_eq!(finished.code, Some(2), "{finished:?}");
    let notice = "--linger forever stays and prints what comes\n";
    assert!(finished.stderr.ends_with(notice), "{}", finished.stderr);
    server.log_line(SESSION_ENDED).await;
    // It stays until the server closes: here with an error.
    let mut child = spawn(client([&arguments[..], &["-w", "forever"]].concat()));
    drop(child.stdin.take());
    server.log_line(SESSION_OPENED).await;
    server.signal(Signal::TERM);
    let finished = wait_for_output(child).await;
    assert_eq!(finished.code, Some(8), "{finished:?}");
}

/// A stopped process keeps its connections, as a dead network does.
#[tokio::test]
async fn stopped_server_is_a_lost_connection() {
    let mut server = ServerProcess::start().await;
    let url = server.url();
    let times = ["--ping-interval", "0.2", "--pong-timeout", "500ms"];
    let mut child = spawn(client([&[url.as_str()], &times[..]].concat()));
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(LOGIN.as_bytes()).await.unwrap();
    server.log_line(SESSION_OPENED).await;
    server.signal(Signal::STOP);
    let finished = wait_for_output(child).await;
    server.signal(Signal::CONT);
    assert_eq!(finished.code, Some(8), "{finished:?}");
    let notice = "the connection was lost: nothing arrived within 500ms after a ping\n";
    assert!(finished.stderr.ends_with(notice), "{}", finished.stderr);
}
