//! Processes with piped standard streams, and the client among them.

use std::{ffi::OsStr, process::Stdio, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    process::{Child, ChildStdin, Command},
    time::timeout,
};

use crate::{ServerProcess, TEST_TIMEOUT, client_binary, fixtures};

/// The output of a process.
#[derive(Debug)]
pub struct ProcessOutput {
    /// The exit code; `None` if a signal ended the process.
    pub code: Option<i32>,
    /// The bytes on stdout.
    pub stdout: Vec<u8>,
    /// The text on stderr.
    pub stderr: String,
}

impl ProcessOutput {
    /// Returns stdout as text.
    #[track_caller]
    pub fn stdout(&self) -> &str {
        std::str::from_utf8(&self.stdout).expect("stdout is text")
    }
}

/// Returns the command that starts a client with these arguments and no configuration.
pub fn client(arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
    let mut command = Command::new(client_binary());
    command.args(arguments).current_dir(fixtures());
    command
}

/// Starts a process with piped standard streams.
pub fn spawn(mut command: Command) -> Child {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("the process starts")
}

/// Starts a client, and waits until it is logged in. Its stdin stays open.
pub async fn spawn_logged_in(server: &mut ServerProcess) -> (Child, ChildStdin) {
    let mut child = spawn(client([server.url()]));
    let mut stdin = child.stdin.take().expect("the stream is piped");
    stdin
        .write_all(b"admin:123456\n")
        .await
        .expect("the client reads stdin");
    server.log_line("session opened").await;
    (child, stdin)
}

/// Runs a process to its end with this stdin.
pub async fn run(command: Command, stdin: impl AsRef<[u8]>) -> ProcessOutput {
    run_within(TEST_TIMEOUT, command, stdin).await
}

/// Runs a process to its end with this stdin, within this time.
pub async fn run_within(
    patience: Duration,
    command: Command,
    stdin: impl AsRef<[u8]>,
) -> ProcessOutput {
    let mut child = spawn(command);
    let mut input = child.stdin.take().expect("the stream is piped");
    let mut out = child.stdout.take().expect("the stream is piped");
    let mut err = child.stderr.take().expect("the stream is piped");
    let (mut stdout, mut stderr) = (Vec::new(), String::new());
    let all = async {
        let write = async {
            // A process may exit without reading its input.
            let _ = input.write_all(stdin.as_ref()).await;
            drop(input);
        };
        let ((), out, err, status) = tokio::join!(
            write,
            out.read_to_end(&mut stdout),
            err.read_to_string(&mut stderr),
            child.wait()
        );
        out.expect("stdout can be read");
        err.expect("stderr is text");
        status.expect("the process can be waited for").code()
    };
    let code = timeout(patience, all)
        .await
        .expect("the process ends in time");
    ProcessOutput {
        code,
        stdout,
        stderr,
    }
}
