//! What it takes to check many passwords.

use std::{collections::BTreeSet, fs};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use futures::future::join_all;
use integration_tests::{PATIENCE, Server};
use proto::{
    password::{HashCost, PasswordHash},
    secret::Secret,
};
use raw_peer::{CREDENTIALS, HANDSHAKE};

/// As many as one worker and its queue take in.
const LOGINS: usize = 60;

#[tokio::test]
async fn many_logins_at_once_take_the_memory_of_the_workers_and_no_more() {
    let server = server().await;
    let before = server.resident_bytes();
    join_all((0..LOGINS).map(|_| log_in(&server))).await;
    let more = server.peak_resident_bytes() - before;
    let of_one = HashCost::DEFAULT.memory_bytes() as u64;
    // The rest is for the connections. It is less than a second hash would take.
    assert!((of_one..2 * of_one).contains(&more), "{more}");
}

#[tokio::test]
async fn threads_that_hash_give_way_to_those_that_serve() {
    let server = server().await;
    let ours = niceness(&server);
    assert_eq!(ours.len(), 1, "nobody gives way yet: {ours:?}");
    log_in(&server).await;
    let after: Vec<_> = niceness(&server).into_iter().collect();
    let [serving, hashing] = after[..] else {
        panic!("there are two kinds: {after:?}")
    };
    assert!(
        ours.contains(&serving),
        "those that serve stay as they are: {after:?}"
    );
    assert_eq!(hashing - serving, 5);
}

/// How nice the threads of the server are.
fn niceness(server: &Server) -> BTreeSet<i32> {
    let threads = fs::read_dir(format!("/proc/{}/task", server.pid().as_raw_nonzero())).unwrap();
    let niceness = threads.filter_map(|thread| {
        // A thread may have ended since.
        let stat = fs::read_to_string(thread.unwrap().path().join("stat")).ok()?;
        // It is the 19th field; the second one, in brackets, may hold spaces.
        let (_, fields) = stat.rsplit_once(')')?;
        fields.split_whitespace().nth(16)?.parse::<i32>().ok()
    });
    niceness.collect()
}

/// A server with one worker and one account, whose password is hashed.
async fn server() -> Server {
    let directory = Server::directory("[login]\nhash_workers = 1\n");
    let hash = PasswordHash::new(&Secret::new("123456"), [7; 16]);
    let account = format!("[[user]]\nname = \"admin\"\npassword_hash = \"{hash}\"\n");
    fs::write(directory.path().join("credentials.toml"), account).unwrap();
    let command = Server::command(&directory.path().join("server.toml"));
    Server::spawn(command, Some(directory)).await
}

/// Logs in with the handshake.
async fn log_in(server: &Server) {
    let head = HANDSHAKE.trim_end();
    let credentials = BASE64_STANDARD.encode(CREDENTIALS);
    let mut peer = server.connect().await.with_patience(PATIENCE);
    peer.send(format!(
        "{head}\r\nAuthorization: Basic {credentials}\r\n\r\n"
    ))
    .await;
    let head = peer.head().await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
}
