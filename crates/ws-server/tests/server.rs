//! A complete server in this process, with raw clients over TCP.

use std::{net::SocketAddr, num::NonZeroUsize, time::Duration};

use proto::{
    credentials::Accounts,
    message::{CONGRATULATION, SORRY},
};
use raw_peer::{CREDENTIALS, HANDSHAKE, RawPeer, frame};
use tokio::{
    net::{TcpSocket, TcpStream},
    sync::Notify,
};
use ws_server::{config::Config, server::Server};

const ADMIN: &str = "[[user]]\nname = \"admin\"\npassword = \"123456\"";

/// Runs a test against a server, then stops it and waits for its end.
async fn with_server(mut config: Config, test: impl AsyncFnOnce(SocketAddr)) {
    config.listen = ([127, 0, 0, 1], 0).into();
    let server = bind(config);
    let address = server.local_addr().expect("the server is bound");
    let stop = Notify::new();
    let test = async {
        test(address).await;
        stop.notify_one();
    };
    tokio::join!(server.run(stop.notified()), test);
}

fn bind(mut config: Config) -> Server {
    config.listen = ([127, 0, 0, 1], 0).into();
    let accounts = Accounts::from_toml(ADMIN).expect("the accounts are valid");
    Server::bind(config, accounts).expect("there is a free port")
}

async fn connect(address: SocketAddr) -> RawPeer<TcpStream> {
    RawPeer::new(
        TcpStream::connect(address)
            .await
            .expect("the server accepts"),
    )
}

/// Sends a request and returns the response head in lower case.
async fn ask(peer: &mut RawPeer<TcpStream>, request: &str) -> String {
    peer.send(request).await;
    peer.head().await.to_lowercase()
}

#[tokio::test]
async fn client_is_served_after_second_login_attempt() {
    with_server(Config::default(), async |address| {
        let mut peer = connect(address).await;
        peer.upgrade().await;
        peer.send(frame::text("admin:1")).await;
        assert_eq!(peer.text().await, SORRY);
        peer.send(frame::text(CREDENTIALS)).await;
        assert_eq!(peer.text().await, CONGRATULATION);
        peer.send(frame::text("hello")).await;
        assert_eq!(peer.text().await, "your submit context: hello");
        peer.send(frame::close(1000, "user exit")).await;
        assert_eq!(peer.close().await, (1000, "user exit".to_owned()));
        peer.end().await;
    })
    .await;
}

#[tokio::test]
async fn connection_over_cap_gets_503_until_one_ends() {
    let mut config = Config::default();
    config.limits.max_connections = NonZeroUsize::new(2).unwrap();
    with_server(config, async |address| {
        let mut first = connect(address).await;
        first.log_in().await;
        let mut second = connect(address).await;
        second.log_in().await;

        let mut third = connect(address).await;
        let answer = ask(&mut third, HANDSHAKE).await;
        assert!(
            answer.starts_with("http/1.1 503 service unavailable\r\n"),
            "{answer}"
        );
        assert!(answer.contains("\r\nretry-after: "), "{answer}");
        assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
        assert_eq!(third.rest().await, b"the server is full, try again later\n");

        second.send(frame::close(1000, "")).await;
        second.close().await;
        second.end().await;
        drop(second);
        // The slot is free a moment after the connection has ended.
        loop {
            let mut fourth = connect(address).await;
            if ask(&mut fourth, HANDSHAKE)
                .await
                .starts_with("http/1.1 101 ")
            {
                break;
            }
        }
        first.send(frame::text("still here")).await;
        assert_eq!(first.text().await, "your submit context: still here");
    })
    .await;
}

#[tokio::test]
async fn per_address_caps_enforced() {
    let mut config = Config::default();
    config.limits.max_unauthenticated_per_address = NonZeroUsize::new(1);
    config.limits.max_connections_per_address = NonZeroUsize::new(2);
    with_server(config, async |address| {
        let connect_from = async |last| {
            let socket = TcpSocket::new_v4().unwrap();
            socket.bind(([127, 0, 0, last], 0).into()).unwrap();
            RawPeer::new(socket.connect(address).await.unwrap())
        };
        let mut first = connect_from(1).await;
        first.upgrade().await;
        let mut second = connect_from(1).await;
        assert!(
            ask(&mut second, HANDSHAKE)
                .await
                .starts_with("http/1.1 503 ")
        );
        let mut other = connect_from(2).await;
        other.log_in().await;
        first.send(frame::text(CREDENTIALS)).await;
        first.text().await;
        let mut third = connect_from(1).await;
        third.log_in().await;
        let mut fourth = connect_from(1).await;
        assert!(
            ask(&mut fourth, HANDSHAKE)
                .await
                .starts_with("http/1.1 503 ")
        );
    })
    .await;
}

#[tokio::test]
async fn silent_connection_ends_at_handshake_deadline() {
    let mut config = Config::default();
    config.limits.handshake_deadline = Duration::from_millis(50);
    with_server(config, async |address| {
        for start in ["", "GET / HTTP/1.1\r\nHost: localh"] {
            let mut peer = connect(address).await;
            peer.send(start).await;
            peer.end().await;
        }
    })
    .await;
}

#[tokio::test]
async fn client_with_body_reads_whole_refusal() {
    with_server(Config::default(), async |address| {
        let mut peer = connect(address).await;
        peer.send("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4000000\r\n\r\n")
            .await;
        peer.send(vec![0; 4_000_000]).await;
        let head = peer.head().await;
        assert!(head.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{head}");
        assert_eq!(peer.rest().await, b"a handshake has no body\n");
    })
    .await;
}

#[tokio::test]
async fn tls_client_on_plain_port_gets_400() {
    with_server(Config::default(), async |address| {
        let mut peer = connect(address).await;
        peer.send(b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03 and so on")
            .await;
        assert!(peer.head().await.starts_with("HTTP/1.1 400 "));
        peer.end().await;
    })
    .await;
}

/// A close with unread input would reset the connection, which could destroy the Close frame.
#[tokio::test]
async fn close_frame_arrives_during_flood() {
    with_server(Config::default(), async |address| {
        let mut peer = connect(address).await;
        peer.log_in().await;
        peer.send(frame::masked(0x83, b"a reserved opcode")).await;
        for _ in 0..64 {
            peer.send(frame::binary(&vec![0; 1 << 16])).await;
        }
        assert_eq!(peer.close().await, (1002, "protocol error".to_owned()));
        peer.send(frame::close(1002, "")).await;
        peer.end().await;
    })
    .await;
}

#[tokio::test]
async fn half_closed_client_reads_all_replies() {
    with_server(Config::default(), async |address| {
        let (read, write) = TcpStream::connect(address).await.unwrap().into_split();
        let mut peer = RawPeer::new(tokio::io::join(read, tokio::io::sink()));
        let mut sender = RawPeer::new(tokio::io::join(tokio::io::empty(), write));
        let mut all = HANDSHAKE.as_bytes().to_vec();
        all.extend(frame::text(CREDENTIALS));
        for index in 0..1000 {
            all.extend(frame::text(&format!("{index} {}", "x".repeat(1000))));
        }
        let send = async {
            sender.send(&all).await;
            sender.finish().await;
        };
        let receive = async {
            assert!(peer.head().await.starts_with("HTTP/1.1 101 "));
            assert_eq!(peer.text().await, CONGRATULATION);
            for index in 0..1000 {
                let answer = peer.text().await;
                assert!(
                    answer.starts_with(&format!("your submit context: {index} ")),
                    "{answer}"
                );
            }
            peer.end().await;
        };
        tokio::join!(send, receive);
    })
    .await;
}

#[tokio::test]
async fn stop_closes_listener_and_all_connections() {
    let mut config = Config::default();
    config.listen = ([127, 0, 0, 1], 0).into();
    let server = Server::bind(config, Accounts::from_toml(ADMIN).unwrap()).unwrap();
    let address = server.local_addr().unwrap();
    let stop = Notify::new();
    let test = async {
        let mut session = connect(address).await;
        session.log_in().await;
        let mut upgraded = connect(address).await;
        upgraded.upgrade().await;
        // Most of these are not accepted yet when the server stops.
        let mut silent = Vec::new();
        for _ in 0..20 {
            let mut peer = connect(address).await;
            peer.send("GET ").await;
            silent.push(peer);
        }
        stop.notify_one();
        for peer in [&mut session, &mut upgraded] {
            assert_eq!(
                peer.close().await,
                (1001, "server is shutting down, back in 2 s".to_owned())
            );
            peer.send(frame::close(1001, "")).await;
            peer.end().await;
        }
        for peer in &mut silent {
            assert!(peer.head().await.starts_with("HTTP/1.1 503 "));
        }
        drop(silent);
        let refused = TcpStream::connect(address).await.unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    };
    tokio::join!(server.run(stop.notified()), test);
}

#[tokio::test]
async fn bind_to_used_address_fails() {
    with_server(Config::default(), async |address| {
        let mut config = Config::default();
        config.listen = address;
        let error = Server::bind(config, Accounts::from_toml(ADMIN).unwrap()).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
    })
    .await;
}
