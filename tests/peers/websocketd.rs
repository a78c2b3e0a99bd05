//! `websocketd` beside `ws-server`: the same programs give the same messages and see the same request.

use std::net::TcpListener;

use integration_tests::{ServerFiles, fixture, handshake_with, peer_program, spawn};
use raw_peer::{RawPeer, frame};
use tokio::{net::TcpStream, process::Command};

/// Returns the texts of a session with these messages, until the Close frame.
async fn transcript(stream: TcpStream, messages: &[&str], wanted: usize) -> Vec<String> {
    let mut peer = RawPeer::new(stream);
    let request = handshake_with(&["User-Agent: test", "X-Two: 1", "X-Two: 2"]);
    peer.send(request.replace("GET / ", "GET /a%20b/c?d=%20e "))
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

/// Returns the transcripts with `ws-server` and with `websocketd`.
async fn both(program: &str, messages: &[&str], wanted: usize) -> [Vec<String>; 2] {
    let file = fixture("programs").join(program);
    let file = file.to_str().expect("the path is UTF-8");
    let route = format!(
        "[[route]]\npath = \"/**\"\nservice = \"program\"\npublic = true\ncommand = [{file:?}]\n"
    );
    let server = ServerFiles::with_admin(&route).serve().await;
    let stream = TcpStream::connect(server.address).await.unwrap();
    let ours = transcript(stream, messages, wanted).await;

    let free = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let mut command = Command::new(peer_program("websocketd/websocketd"));
    command.args(["--address=127.0.0.1", &format!("--port={port}"), file]);
    let _websocketd = spawn(command);
    let theirs = transcript(connect(port).await, messages, wanted).await;
    [ours, theirs]
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
        let [ours, theirs] = both(program, messages, wanted).await;
        assert_eq!(ours.len(), wanted, "{program}");
        assert_eq!(ours, theirs, "{program}");
    }
}

/// The server has its own name, and each connection its own number and port. `websocketd` names its
/// interface after itself, and leaves `Host` out.
#[tokio::test]
#[ignore = "needs websocketd"]
async fn environment_equals_that_of_websocketd() {
    let [mut ours, mut theirs] = both("dump-env.sh", &[], usize::MAX).await;
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
