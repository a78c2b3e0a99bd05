//! `websocat` with `ws-server`.

use integration_tests::{
    ADMIN_SESSION, CONGRATULATION, LOGIN_FAILED_EVENT, SESSION_ENDED, SESSION_OPENED, SORRY,
    ServerProcess, TEST_TIMEOUT, echoed, peer_program, spawn, wait_for_output,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    process::{Child, ChildStdin, ChildStdout, Command},
    time::timeout,
};

/// A `websocat` process with piped streams.
#[derive(Debug)]
struct Websocat {
    child: Child,
    stdin: ChildStdin,
    stdout: ChildStdout,
}

impl Websocat {
    fn connect(server: &ServerProcess, arguments: &[&str]) -> Self {
        let mut command = Command::new(peer_program("websocat/bin/websocat"));
        command.args(arguments).arg(server.url());
        let mut child = spawn(command);
        let stdin = child.stdin.take().unwrap();
        let stdout = child.stdout.take().unwrap();
        Self {
            child,
            stdin,
            stdout,
        }
    }

    async fn write(&mut self, text: &str) {
        self.stdin.write_all(text.as_bytes()).await.unwrap();
    }

    /// Asserts that exactly this text is printed next.
    async fn assert_prints(&mut self, text: &str) {
        let mut printed = vec![0; text.len()];
        let read = timeout(TEST_TIMEOUT, self.stdout.read_exact(&mut printed)).await;
        read.expect("the text is printed in time").unwrap();
        assert_eq!(String::from_utf8(printed).unwrap(), text);
    }

    /// Closes stdin, and asserts that the process exits without more output.
    async fn finish(mut self) {
        drop(self.stdin);
        let mut rest = String::new();
        let read = timeout(TEST_TIMEOUT, self.stdout.read_to_string(&mut rest)).await;
        read.expect("the end comes in time").unwrap();
        assert_eq!(rest, "");
        let finished = wait_for_output(self.child).await;
        assert_eq!((finished.code, &*finished.stderr), (Some(0), ""));
    }
}

/// `websocat` sends each read as a message, and writes each message at once.
#[tokio::test]
#[ignore = "needs the peers of .ci/peers"]
async fn logs_in_and_talks() {
    let mut server = ServerProcess::start().await;
    let mut websocat = Websocat::connect(&server, &["--text", "--no-line"]);
    websocat.write("admin:1").await;
    websocat.assert_prints(SORRY).await;
    websocat.write("admin:123456").await;
    websocat.assert_prints(CONGRATULATION).await;
    websocat.write("hello").await;
    websocat.assert_prints(&echoed("hello")).await;
    websocat.finish().await;
    let ended = server.log_line(SESSION_ENDED).await;
    assert!(ended.contains("cause=closed by the peer"), "{ended}");
    assert!(ended.contains("messages_in=1 "), "{ended}");
}

/// `websocat` sends lines with their line break. The server ignores one at the end of the credentials.
#[tokio::test]
#[ignore = "needs the peers of .ci/peers"]
async fn line_break_after_credentials_ignored() {
    let server = ServerProcess::start().await;
    let mut websocat = Websocat::connect(&server, &[]);
    websocat.write("admin:123456\n").await;
    // In this mode it prints a message as one line.
    let line = CONGRATULATION.replace("\r\n", "  ");
    websocat.assert_prints(&format!("{line}\n")).await;
    websocat.finish().await;
}

#[tokio::test]
#[ignore = "needs the peers of .ci/peers"]
async fn logs_in_with_the_handshake() {
    let mut server = ServerProcess::start().await;
    let arguments = ["--text", "--no-line", "--basic-auth=admin:123456"];
    let mut websocat = Websocat::connect(&server, &arguments);
    websocat.write("hello").await;
    websocat.assert_prints(&echoed("hello")).await;
    websocat.finish().await;
    let opened = server.log_line(SESSION_OPENED).await;
    assert!(opened.ends_with(ADMIN_SESSION), "{opened}");
}

#[tokio::test]
#[ignore = "needs the peers of .ci/peers"]
async fn wrong_password_in_the_handshake_is_seen_as_401() {
    let mut server = ServerProcess::start().await;
    let Websocat { child, stdin, .. } = Websocat::connect(&server, &["--basic-auth=admin:1"]);
    let finished = wait_for_output(child).await;
    assert_eq!(finished.code, Some(1));
    let stderr = finished.stderr;
    assert!(stderr.contains("401 Unauthorized"), "{stderr}");
    server.log_line(LOGIN_FAILED_EVENT).await;
    drop(stdin);
}
