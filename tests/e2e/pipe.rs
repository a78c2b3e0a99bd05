//! The client in a pipeline.

use std::fmt::Write as _;

use integration_tests::{
    PREFIX, SESSION_ENDED, ServerProcess, TEST_TIMEOUT, client, echoed, echoed_lines, run,
    send_signal, spawn, spawn_logged_in, wait_for_exit, wait_for_output,
};
use proto::close::CloseReason;
use raw_peer::frame;
use rustix::process::Signal;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    time::timeout,
};

#[tokio::test]
async fn two_thousand_lines_are_echoed_in_order() {
    let server = ServerProcess::start().await;
    let (mut input, mut expected) = ("admin:123456\n".to_owned(), String::new());
    for index in 0..2000 {
        writeln!(input, "line {index}").unwrap();
        writeln!(expected, "{PREFIX}line {index}").unwrap();
    }
    let finished = run(client([server.url()]), &input).await;
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    assert!(finished.stdout() == expected, "{}", finished.stdout());
}

/// Both directions fill up at once. A client that only wrote or only read would deadlock.
#[tokio::test]
async fn input_beyond_all_buffers_is_echoed_whole() {
    let server = ServerProcess::start().await;
    let line = "x".repeat(200_000);
    let input = format!("admin:123456\n{}", format!("{line}\n").repeat(100));
    let finished = run(client([server.url()]), &input).await;
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    assert_eq!(finished.stdout.len(), 100 * (PREFIX.len() + line.len() + 1));
}

#[tokio::test]
async fn line_is_sent_without_its_line_ending() {
    let server = ServerProcess::start().await;
    let input = "admin:123456\r\n\n  spaces  \r\nа😀\u{1b}[2J\r\r\nthe last one";
    let finished = run(client([server.url()]), input).await;
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    assert_eq!(
        finished.stdout(),
        echoed_lines(["", "  spaces  ", "а😀\u{1b}[2J\r", "the last one"])
    );
}

#[tokio::test]
async fn non_utf8_line_is_reported_and_not_sent() {
    let mut server = ServerProcess::start().await;
    let finished = run(client([server.url()]), b"admin:123456\nhello\n\xff\n").await;
    assert_eq!(finished.code, Some(2), "{finished:?}");
    assert_eq!(finished.stdout(), echoed_lines(["hello"]));
    assert!(finished.stderr.contains("line 3"), "{}", finished.stderr);
    let ended = server.log_line(SESSION_ENDED).await;
    assert!(ended.contains("messages_in=1 "), "{ended}");
}

#[tokio::test]
async fn closed_stdout_exits_without_a_signal() {
    let server = ServerProcess::start().await;
    let mut child = spawn(client([server.url()]));
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"admin:123456\none\n").await.unwrap();
    let mut line = String::new();
    timeout(TEST_TIMEOUT, stdout.read_line(&mut line))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(line, echoed_lines(["one"]));
    drop(stdout);
    // The client notices at its next write.
    let write = async { while stdin.write_all(b"two\n").await.is_ok() {} };
    let (status, ()) = timeout(TEST_TIMEOUT, async { tokio::join!(child.wait(), write) })
        .await
        .unwrap();
    assert!(
        status.unwrap().code().is_some(),
        "the client was killed by a signal"
    );
}

#[tokio::test]
async fn signal_closes_with_1000_and_exits_with_130() {
    for signal in [Signal::INT, Signal::TERM] {
        let mut server = ServerProcess::start().await;
        let (mut child, _stdin) = spawn_logged_in(&mut server).await;
        send_signal(&child, signal);
        assert_eq!(wait_for_exit(&mut child).await.code(), Some(130));
        let ended = server.log_line(SESSION_ENDED).await;
        assert!(ended.contains("code=1000"), "{ended}");
    }
}

/// Sends the server a signal, and returns the stderr of a client whose stdin is still open.
async fn stderr_after(signal: Signal) -> String {
    let mut server = ServerProcess::start().await;
    let (child, _stdin) = spawn_logged_in(&mut server).await;
    server.signal(signal);
    let finished = wait_for_output(child).await;
    assert_eq!(finished.code, Some(8));
    finished.stderr
}

#[tokio::test]
async fn server_shutdown_prints_code_and_reason() {
    let stderr = stderr_after(Signal::TERM).await;
    assert!(stderr.contains("1001"), "{stderr}");
    assert!(
        stderr.contains(&*CloseReason::ShuttingDown { back_in: 2 }.text()),
        "{stderr}"
    );
}

#[tokio::test]
async fn killed_server_is_reported_as_lost() {
    let stderr = stderr_after(Signal::KILL).await;
    assert!(stderr.to_lowercase().contains("lost"), "{stderr}");
}

/// The clients run beside a raw peer on the same server.
#[tokio::test]
async fn concurrent_clients_get_their_own_echoes() {
    let server = ServerProcess::start().await;
    let mut peer = server.connect().await;
    peer.log_in().await;
    let clients = (0..8).map(|index| {
        run(
            client([server.url()]),
            format!("admin:123456\nfrom {index}\n"),
        )
    });
    for (index, finished) in futures::future::join_all(clients)
        .await
        .into_iter()
        .enumerate()
    {
        assert_eq!(finished.code, Some(0), "{finished:?}");
        assert_eq!(finished.stdout(), echoed_lines([format!("from {index}")]));
    }
    peer.send(frame::text("hello")).await;
    assert_eq!(peer.text().await, echoed("hello"));
}

#[tokio::test]
async fn address_of_this_machine_needs_no_scheme() {
    let server = ServerProcess::start().await;
    let url = server.url();
    let address = url.strip_prefix("ws://").unwrap().to_owned();
    for url in [address.clone(), format!("http://{address}/")] {
        let finished = run(client([url]), "admin:123456\nhello\n").await;
        assert_eq!(finished.code, Some(0), "{finished:?}");
        assert_eq!(finished.stdout(), echoed_lines(["hello"]));
    }
}
