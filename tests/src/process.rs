//! Processes with piped standard streams.

use std::{
    process::{ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    process::{Child, Command},
    time::timeout,
};

/// The time limit of anything that a test waits for. It affects only failing tests.
pub const TEST_TIMEOUT: Duration = Duration::from_mins(1);

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

    /// Returns stdout, with invalid UTF-8 replaced, and stderr.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned() + &self.stderr
    }
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

/// Waits until a process exits, and returns its output that was not read yet.
pub async fn wait_for_output(child: Child) -> ProcessOutput {
    let output = timeout(TEST_TIMEOUT, child.wait_with_output()).await;
    let output = output
        .expect("the process ends in time")
        .expect("the process can be waited for");
    ProcessOutput {
        code: output.status.code(),
        stdout: output.stdout,
        stderr: String::from_utf8(output.stderr).expect("stderr is text"),
    }
}

/// Runs a process that must succeed, and returns its output.
pub async fn run_ok(command: Command) -> String {
    let finished = run(command, "").await;
    assert_eq!(finished.code, Some(0), "{finished:?}");
    finished.text()
}

/// Sends a signal to a running process.
pub fn send_signal(child: &Child, signal: Signal) {
    kill_process(pid_of(child), signal).expect("the process is running");
}

/// Returns the id of a running process.
pub(crate) fn pid_of(child: &Child) -> Pid {
    let id = child.id().expect("the process is running");
    Pid::from_raw(id.cast_signed()).expect("a process id is not zero")
}

/// Waits until a process exits.
pub async fn wait_for_exit(child: &mut Child) -> ExitStatus {
    let end = timeout(TEST_TIMEOUT, child.wait()).await;
    end.expect("the process ends in time")
        .expect("the process can be waited for")
}
