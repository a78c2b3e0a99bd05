//! `wscat` with `ws-server`.

use integration_tests::{
    ADMIN_SESSION, CONGRATULATION, SESSION_ENDED, SESSION_OPENED, SORRY, ServerProcess,
    TEST_TIMEOUT, Terminal, echoed, echoed_lines, peer_program, spawn, wait_for_output,
};
use rustix::process::Signal;
use tokio::{io::AsyncReadExt as _, process::Command, time::timeout};

/// Returns the paths of Node and of the script.
fn wscat() -> [String; 2] {
    ["node/node", "node/node_modules/wscat/bin/wscat"]
        .map(|path| peer_program(path).into_os_string().into_string().unwrap())
}

#[tokio::test]
#[ignore = "needs the peers of .ci/peers"]
async fn logs_in_and_talks_at_a_terminal() {
    let mut server = ServerProcess::start().await;
    let [node, wscat] = wscat();
    let arguments = [&wscat, "--slash", "--connect", &server.url()];
    let mut terminal = Terminal::spawn(&node, &arguments);
    terminal.expect("Connected").await;
    terminal.type_text("admin:1\r").await;
    terminal.expect(&format!("< {SORRY}")).await;
    terminal.type_text("admin:123456\r").await;
    terminal
        .expect("< congratulation, you have connect with server")
        .await;
    terminal.expect("now, you can do something else").await;
    terminal.type_text("hello\r").await;
    terminal.expect(&format!("< {}", echoed("hello"))).await;
    terminal.type_text("/close 1000 bye\r").await;
    terminal
        .expect("Disconnected (code: 1000, reason: \"bye\")")
        .await;
    assert_eq!(terminal.finish().await, Some(0));
    let ended = server.log_line(SESSION_ENDED).await;
    assert!(
        ended.contains("cause=closed by the peer: bye code=1000"),
        "{ended}"
    );
}

/// `wscat` sends all messages at once, and stays until the server closes.
#[tokio::test]
#[ignore = "needs the peers of .ci/peers"]
async fn logs_in_and_talks_in_a_pipe() {
    let server = ServerProcess::start().await;
    let [node, wscat] = wscat();
    let mut command = Command::new(node);
    command
        .args([&wscat, "--connect", &server.url(), "--wait", "-1"])
        .args(["--execute", "admin:123456", "--execute", "hello"]);
    let mut child = spawn(command);
    // Keep stdin open: `wscat` exits at its end.
    let stdin = child.stdin.take();
    let mut stdout = child.stdout.take().unwrap();
    let expected = format!("{CONGRATULATION}\n{}", echoed_lines(["hello"]));
    let mut printed = vec![0; expected.len()];
    let read = timeout(TEST_TIMEOUT, stdout.read_exact(&mut printed)).await;
    read.expect("the text is printed in time").unwrap();
    assert_eq!(String::from_utf8(printed).unwrap(), expected);
    server.signal(Signal::TERM);
    let finished = wait_for_output(child).await;
    drop(stdin);
    assert_eq!((finished.code, &*finished.stderr), (Some(0), ""));
}

#[tokio::test]
#[ignore = "needs the peers of .ci/peers"]
async fn logs_in_with_the_handshake() {
    let mut server = ServerProcess::start().await;
    let [node, wscat] = wscat();
    let url = server.url();
    let arguments = [
        &wscat,
        "--slash",
        "--auth",
        "admin:123456",
        "--connect",
        &url,
    ];
    let mut terminal = Terminal::spawn(&node, &arguments);
    terminal.expect("Connected").await;
    let opened = server.log_line(SESSION_OPENED).await;
    assert!(opened.ends_with(ADMIN_SESSION), "{opened}");
    terminal.type_text("hello\r").await;
    terminal.expect(&format!("< {}", echoed("hello"))).await;
    let screen = terminal.contents();
    assert!(!screen.contains("congratulation"), "{screen}");
    terminal.type_text("/close 1000 bye\r").await;
    assert_eq!(terminal.finish().await, Some(0));
}
