//! `websocketd` beside `ws-server`: the same programs give the same messages and see the same request.

use std::{
    fs::{self, Permissions},
    net::TcpListener,
    os::unix::fs::PermissionsExt as _,
};

use integration_tests::{ServerFiles, fixture, handshake_with, peer_program, spawn};
use raw_peer::{RawPeer, frame};
use tokio::{net::TcpStream, process::Command};

/// Returns the texts of a session with these messages, until the Close frame.
async fn transcript(
    stream: TcpStream,
    path: &str,
    messages: &[&str],
    wanted: usize,
) -> Vec<String> {
    let mut peer = RawPeer::new(stream);
    let request = handshake_with(&["User-Agent: test", "X-Two: 1", "X-Two: 2"]);
    peer.send(request.replace("GET / ", &format!("GET {path} ")))
        .await;
    assert!(peer.head().await.starts_with("HTTP/1.1 101 "));
    for message in messages {
        peer.send(frame::text(message)).await;
    }
    let mut texts = Vec::new();
    while texts.len() < wanted {
        // `websocketd` may end the connection without a Close frame.
        match peer.next().await {
            Some(frame) if frame.first != 0x88 => {
                texts.push(String::from_utf8(frame.payload).unwrap());
            }
            Some(_) | None => break,
        }
    }
    texts
}

/// Connects to a server that may not listen yet.
async fn connect(port: u16) -> TcpStream {
    loop {
        if let Ok(stream) = TcpStream::connect(("127.0.0.1", port)).await {
            return stream;
        }
        tokio::task::yield_now().await;
    }
}

/// Returns the transcripts with `ws-server` and with `websocketd`. `ours` are the keys of the route, and
/// `theirs` the last argument.
async fn both(
    [ours, theirs]: [&str; 2],
    path: &str,
    messages: &[&str],
    wanted: usize,
) -> [Vec<String>; 2] {
    let route =
        format!("[[route]]\npath = \"/**\"\nservice = \"program\"\npublic = true\n{ours}\n");
    let server = ServerFiles::with_admin(&route).serve().await;
    let stream = TcpStream::connect(server.address).await.unwrap();
    let ours = transcript(stream, path, messages, wanted).await;

    let free = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let mut command = Command::new(peer_program("websocketd/websocketd"));
    command.args(["--address=127.0.0.1", &format!("--port={port}"), theirs]);
    let _websocketd = spawn(command);
    let theirs = transcript(connect(port).await, path, messages, wanted).await;
    [ours, theirs]
}

/// Returns the transcripts of a fixture that both run.
async fn both_of(program: &str, messages: &[&str], wanted: usize) -> [Vec<String>; 2] {
    let file = fixture("programs").join(program);
    let file = file.to_str().expect("the path is UTF-8");
    let ours = format!("command = [{file:?}]");
    both([&ours, file], "/a%20b/c?d=%20e", messages, wanted).await
}

#[tokio::test]
#[ignore = "needs websocketd"]
async fn transcripts_equal_those_of_websocketd() {
    for (program, messages, wanted) in [
        ("count.sh", &[][..], 10),
        ("greeter.sh", &["World", "", " a  b "], 3),
        ("greeter.pl", &["World"], 1),
        ("count.py", &[], 10),
    ] {
        let [ours, theirs] = both_of(program, messages, wanted).await;
        assert_eq!(ours.len(), wanted, "{program}");
        assert_eq!(ours, theirs, "{program}");
    }
}

/// The server has its own name, and each connection its own number and port. `websocketd` names its
/// interface after itself, and leaves `Host` out.
fn assert_environments_equal([mut ours, mut theirs]: [Vec<String>; 2]) {
    for lines in [&mut ours, &mut theirs] {
        assert!(lines.len() > 20, "{lines:#?}");
        lines.retain(|line| {
            let differing = [
                "SERVER_SOFTWARE=",
                "UNIQUE_ID=",
                "REMOTE_PORT=",
                "GATEWAY_INTERFACE=",
                "HTTP_HOST=",
            ];
            !differing.iter().any(|name| line.starts_with(name))
        });
    }
    assert_eq!(ours, theirs);
}

#[tokio::test]
#[ignore = "needs websocketd"]
async fn environment_equals_that_of_websocketd() {
    assert_environments_equal(both_of("dump-env.sh", &[], usize::MAX).await);
}

#[tokio::test]
#[ignore = "needs websocketd"]
async fn split_of_path_equals_that_of_websocketd() {
    let programs = tempfile::tempdir().unwrap();
    let sub = programs.path().join("sub");
    fs::create_dir(&sub).unwrap();
    fs::copy(fixture("programs").join("dump-env.sh"), sub.join("env")).unwrap();
    for safe in [&sub, &sub.join("env")] {
        fs::set_permissions(safe, Permissions::from_mode(0o755)).unwrap();
    }
    let ours = format!("directory = {:?}", programs.path());
    let theirs = format!("--dir={}", programs.path().display());
    for path in ["/sub/env", "/sub/env/a%20b/c?d=%20e"] {
        assert_environments_equal(both([&ours, &theirs], path, &[], usize::MAX).await);
    }
}
