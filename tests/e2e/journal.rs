//! Log lines for the journal of systemd.

use std::os::unix::fs::MetadataExt as _;

use integration_tests::{ServerFiles, accounts};
use tokio::process::Command;

/// Starts a server whose stderr is a file, and which is told that this file, or another one, is the
/// journal. Returns the first line that it logs.
async fn first_line(inode_offset: u64) -> String {
    let files = ServerFiles::new("listen = \"127.0.0.1:0\"\n", &accounts(&[("jane", "1")]));
    let path = files.path("log");
    let log = std::fs::File::create(&path).unwrap();
    let metadata = log.metadata().unwrap();
    let stream = format!("{}:{}", metadata.dev(), metadata.ino() + inode_offset);
    let mut server = Command::new(integration_tests::server_binary())
        .arg("--config")
        .arg(files.path(integration_tests::CONFIGURATION))
        .env("JOURNAL_STREAM", stream)
        .env_remove("RUST_LOG")
        .stdout(std::process::Stdio::null())
        .stderr(log)
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let line = loop {
        let text = std::fs::read_to_string(&path).unwrap();
        if let Some((line, _)) = text.split_once('\n') {
            break line.to_owned();
        }
        assert!(server.try_wait().unwrap().is_none(), "{text}");
        tokio::task::yield_now().await;
    };
    server.kill().await.unwrap();
    line
}

#[tokio::test]
async fn journal_line_begins_with_priority() {
    let line = first_line(0).await;
    assert!(line.starts_with("<6> INFO read "), "{line}");
}

/// A service may redirect stderr, and inherits the variable all the same.
#[tokio::test]
async fn other_file_gets_lines_with_time() {
    let line = first_line(1).await;
    let (time, rest) = line.split_once(' ').unwrap();
    assert!(time.ends_with('Z'), "{line}");
    assert!(rest.trim_start().starts_with("INFO read "), "{line}");
}
