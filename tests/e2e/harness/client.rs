//! A client whose standard streams are pipes.

use std::{ffi::OsStr, process::Stdio};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    process::Command,
    time::timeout,
};

use super::{PATIENCE, root};

/// The binary under test.
pub(crate) const CLIENT: &str = env!("CARGO_BIN_EXE_e2e-ws-client");

/// What a process left behind.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Finished {
    /// What it said on stdout, as text.
    #[track_caller]
    pub(crate) fn stdout(&self) -> &str {
        std::str::from_utf8(&self.stdout).expect("stdout is text")
    }
}

/// The command that starts a client with these arguments, at the root of the workspace.
pub(crate) fn client(arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
    let mut command = Command::new(CLIENT);
    command.args(arguments).current_dir(root());
    command
}

/// Runs a process to its end, with this on its stdin.
pub(crate) async fn run(mut command: Command, stdin: impl AsRef<[u8]>) -> Finished {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("the process starts");
    let mut input = child.stdin.take().expect("it is piped");
    let mut out = child.stdout.take().expect("it is piped");
    let mut err = child.stderr.take().expect("it is piped");
    let (mut stdout, mut stderr) = (Vec::new(), String::new());
    let all = async {
        let write = async {
            // A process may end with its input unread.
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
    let code = timeout(PATIENCE, all)
        .await
        .expect("the process ends in time");
    Finished {
        code,
        stdout,
        stderr,
    }
}
