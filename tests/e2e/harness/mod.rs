//! What the tests spawn, and how they wait for it.

mod client;
mod server;
mod terminal;

use std::{
    path::{Path, PathBuf},
    process::ExitStatus,
    time::Duration,
};

use tokio::{process::Child, time::timeout};

pub(crate) use self::{
    client::{CLIENT, Finished, client, run, spawn, talking},
    server::{SERVER, Server},
    terminal::Terminal,
};

/// How long a test waits for what must come. It only bounds tests that fail.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// The root of the workspace, where the README's commands are run.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .canonicalize()
        .expect("the root is there")
}

/// A file of the shipped configuration.
pub(crate) fn shipped(name: &str) -> PathBuf {
    root().join("config").join(name)
}

/// Waits for the end of a process.
pub(crate) async fn end(child: &mut Child) -> ExitStatus {
    let end = timeout(PATIENCE, child.wait()).await;
    end.expect("the process ends in time")
        .expect("the process can be waited for")
}
