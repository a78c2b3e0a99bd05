//! The client as a process.

use std::ffi::OsStr;

use tokio::{
    io::AsyncWriteExt as _,
    process::{Child, ChildStdin, Command},
};

use crate::{SESSION_OPENED, ServerProcess, client_binary, fixtures, spawn};

/// Returns the command that starts a client with these arguments and no configuration.
pub fn client(arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
    let mut command = Command::new(client_binary());
    command.args(arguments).current_dir(fixtures());
    command
}

/// Starts a client, and waits until it is logged in. Its stdin stays open.
pub async fn spawn_logged_in(server: &mut ServerProcess) -> (Child, ChildStdin) {
    let mut child = spawn(client([server.url()]));
    let mut stdin = child.stdin.take().expect("the stream is piped");
    stdin
        .write_all(b"admin:123456\n")
        .await
        .expect("the client reads stdin");
    server.log_line(SESSION_OPENED).await;
    (child, stdin)
}
