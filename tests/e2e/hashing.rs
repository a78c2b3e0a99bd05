//! The memory of password hashing.

use std::fs;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use futures::future::join_all;
use integration_tests::{ServerProcess, TEST_TIMEOUT};
use proto::{
    password::{HashCost, PasswordHash},
    secret::Secret,
};
use raw_peer::HANDSHAKE;

/// The logins that one worker and its queue accept.
const LOGINS: usize = 60;

#[tokio::test]
async fn many_logins_use_the_memory_of_one_hash_per_worker() {
    let directory = ServerProcess::config_directory("[login]\nhash_workers = 1\n");
    let hash = PasswordHash::new(&Secret::new("123456"), [7; 16]);
    let account = format!("[[user]]\nname = \"admin\"\npassword_hash = \"{hash}\"\n");
    fs::write(directory.path().join("credentials.toml"), account).unwrap();
    let command = ServerProcess::command(&directory.path().join("server.toml"));
    let server = ServerProcess::spawn(command, Some(directory)).await;
    let before = server.resident_bytes();
    let head = HANDSHAKE.trim_end();
    let credentials = BASE64_STANDARD.encode("admin:123456");
    let request = format!("{head}\r\nAuthorization: Basic {credentials}\r\n\r\n");
    let logins = (0..LOGINS).map(async |_| {
        let mut peer = server.connect().await.with_timeout(TEST_TIMEOUT);
        peer.send(&request).await;
        let head = peer.head().await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    });
    join_all(logins).await;
    let more = server.peak_resident_bytes() - before;
    let of_one = HashCost::DEFAULT.memory_bytes() as u64;
    // The rest is for the connections, and is less than a second hash needs.
    assert!((of_one..2 * of_one).contains(&more), "{more}");
}
