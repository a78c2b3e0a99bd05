//! The memory of password hashing.

use futures::future::join_all;
use integration_tests::{
    ServerFiles, TEST_TIMEOUT, account, authorization, handshake_with, password_hash,
};
use proto::password::HashCost;

/// The logins that one worker and its queue accept.
const LOGINS: usize = 60;

#[tokio::test]
async fn many_logins_use_the_memory_of_one_hash_per_worker() {
    let account = account("admin", &password_hash("123456"));
    let files = ServerFiles::new("[login]\nhash_workers = 1\n", &account);
    let server = files.serve().await;
    let before = server.resident_bytes();
    let request = handshake_with(&[&authorization("admin:123456")]);
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
