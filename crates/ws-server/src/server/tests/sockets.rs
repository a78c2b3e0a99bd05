//! The options of TCP sockets.

use std::net::Ipv4Addr;

use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};

use crate::server::tests::{
    harness::*,
    routes::{AS_ADMIN, server},
};

/// The unsent bytes above which the socket of a room's member accepts no more.
pub(super) const MAX_UNSENT_BYTES: u32 = 256 * 1024;

/// Returns both ends of a TCP connection, and a reader of the option at the second one.
pub(super) async fn connected() -> (TcpStream, TcpStream, impl Fn() -> u32) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let connect = TcpStream::connect(listener.local_addr().unwrap());
    let (client, accepted) = tokio::join!(connect, listener.accept());
    let accepted = accepted.unwrap().0.into_std().unwrap();
    // Both handles are of one socket.
    let socket = accepted.try_clone().unwrap();
    let limit = move || SockRef::from(&socket).tcp_notsent_lowat().unwrap();
    (
        client.unwrap(),
        TcpStream::from_std(accepted).unwrap(),
        limit,
    )
}

#[tokio::test]
async fn only_sockets_of_rooms_limit_unsent_bytes() {
    let server = server();
    for (path, is_limited) in [("/", false), ("/room/lobby", true), ("/public", true)] {
        let (client, io, limit) = connected().await;
        let before = limit();
        assert_ne!(before, MAX_UNSENT_BYTES);
        server.serve(io);
        let mut peer = RawPeer::new(client);
        let request = HANDSHAKE
            .replace("GET / ", &format!("GET {path} "))
            .replace("\r\n\r\n", &format!("\r\n{AS_ADMIN}\r\n"));
        peer.send(request).await;
        assert!(peer.head().await.starts_with("HTTP/1.1 101 "), "{path}");
        peer.send(frame::text("hello")).await;
        assert!(peer.text().await.contains("hello"), "{path}");
        let expected = if is_limited { MAX_UNSENT_BYTES } else { before };
        assert_eq!(limit(), expected, "{path}");
    }
}
