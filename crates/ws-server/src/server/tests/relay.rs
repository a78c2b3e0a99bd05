//! The relay service, between connections on pipes and upstreams that the test plays.

use futures::{SinkExt as _, StreamExt as _};
use proto::key::Key;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Message,
        protocol::{CloseFrame, Role},
    },
};

use crate::server::tests::{
    harness::*,
    routes::{AS_ADMIN, AS_JANE, TWO, accounts, config, session},
    stream::{PINGED, STEP, Upstream, on_workers},
};

/// The server side of a relay's connection.
pub(super) struct RelayPeer {
    head: String,
    pub(super) websocket: WebSocketStream<TcpStream>,
}

impl RelayPeer {
    /// Accepts the next connection, and answers its handshake with further fields.
    pub(super) async fn accept(upstream: &Upstream, fields: &str) -> Self {
        let mut io = upstream.accept().await;
        let head = request_head(&mut io).await;
        let key = field(&head, "Sec-Websocket-Key").expect("a key");
        let accept = Key::parse(key).unwrap().accept();
        let response = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\n{fields}\r\n"
        );
        io.write_all(response.as_bytes()).await.unwrap();
        let websocket = WebSocketStream::from_raw_socket(io, Role::Server, None).await;
        Self { head, websocket }
    }

    pub(super) async fn next(&mut self) -> Message {
        let next = timeout(STEP, self.websocket.next()).await;
        next.expect("a message in time")
            .expect("a message")
            .unwrap()
    }

    pub(super) async fn send(&mut self, message: Message) {
        let sent = timeout(STEP, self.websocket.send(message)).await;
        sent.expect("the server reads in time").unwrap();
    }

    /// Reads the Close frame, sends the reply, and ends the connection.
    async fn close(mut self) -> (u16, String) {
        match self.next().await {
            Message::Close(Some(frame)) => {
                let _ = self.websocket.flush().await;
                (frame.code.into(), frame.reason.to_string())
            }
            Message::Close(None) => (1005, String::new()),
            other => panic!("{other:?}"),
        }
    }
}

async fn request_head(io: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(timeout(STEP, io.read_u8()).await.unwrap().unwrap());
    }
    String::from_utf8(head).unwrap()
}

/// Returns the only value of a field in a head.
fn field<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    let start = format!("{name}: ");
    let mut values = head.lines().filter_map(|line| line.strip_prefix(&start));
    let value = values.next();
    assert_eq!(values.next(), None, "{head}");
    value
}

fn close_frame(code: u16, reason: &'static str) -> Message {
    Message::Close(Some(CloseFrame {
        code: code.into(),
        reason: reason.into(),
    }))
}

impl Upstream {
    /// Returns a server with a relay to this upstream at `/`. `keys` are further lines of the route, and
    /// tables below it.
    pub(super) fn relay(&self, keys: &str) -> TestServer {
        self.relay_at("/", "", keys)
    }

    fn relay_at(&self, path: &str, base: &str, keys: &str) -> TestServer {
        let address = self.address();
        let source = format!(
            "[[route]]\npath = \"{path}\"\nservice = \"relay\"\nto = \"ws://{address}{base}\"\n{keys}"
        );
        TestServer(Arc::new(ServerState::new(config(&source), accounts(TWO))))
    }
}

/// Connects with Basic credentials. Returns both ends.
pub(super) async fn connected(
    server: &TestServer,
    upstream: &Upstream,
) -> (RawPeer<DuplexStream>, RelayPeer) {
    let (client, peer) = tokio::join!(
        session(server, "/", AS_ADMIN),
        RelayPeer::accept(upstream, "")
    );
    (client.with_timeout(STEP), peer)
}

#[test]
fn messages_pass_both_ways_after_each_login() {
    on_workers(async || {
        let upstream = Upstream::bind().await;
        let server = upstream.relay("");
        for fields in [AS_ADMIN, ""] {
            let client = async {
                let mut client = session(&server, "/", fields).await.with_timeout(STEP);
                if fields.is_empty() {
                    client.send(frame::text("admin:123456")).await;
                    assert_eq!(client.text().await, CONGRATULATION);
                }
                client
            };
            let (mut client, mut peer) = tokio::join!(client, RelayPeer::accept(&upstream, ""));
            assert_eq!(field(&peer.head, "X-Forwarded-User"), Some("admin"));
            client.send(frame::text("hello")).await;
            client.send(frame::binary(b"\x00\xff")).await;
            assert_eq!(peer.next().await, Message::text("hello"));
            assert_eq!(peer.next().await, Message::binary(&b"\x00\xff"[..]));
            let long = "x".repeat(100_000);
            for text in ["", "welcome", &long] {
                peer.send(Message::text(text)).await;
                assert!(client.text().await == text);
            }
            client.send(frame::text(&long)).await;
            assert!(peer.next().await == Message::text(long));
        }
    });
}

/// Row by row as in `service/tests/relay_request.rs`, but over the wire.
#[tokio::test]
async fn forged_identity_does_not_reach_upstream() {
    let upstream = Upstream::bind().await;
    let server = upstream.relay("");
    for forged in [
        "X-Forwarded-User: admin\r\n",
        "x-forwarded-user: admin\r\nX-FORWARDED-USER: root\r\n",
        "X_Forwarded_User: admin\r\n",
        "X-Forwarded-User : admin\r\n",
        "X-Forwarded-User\t: admin\r\n",
        "X-Custom: a\r\n X-Forwarded-User: admin\r\n",
        "X-Custom: a\r\n\tX-Forwarded-User: admin\r\n",
        "X-Custom: a\rX-Forwarded-User: admin\r\n",
        "X-Custom: a\nX-Forwarded-User: admin\r\n",
        "Connection: X-Forwarded-User\r\nX-Forwarded-User: admin\r\n",
        "\u{ff38}-Forwarded-User: admin\r\n",
        "X-Forwarded-User\0: admin\r\n",
    ] {
        let request = HANDSHAKE.replace("\r\n\r\n", &format!("\r\n{AS_JANE}{forged}\r\n"));
        let mut client = server.connect().with_timeout(STEP);
        client.send(request).await;
        let status = async { client.head().await.lines().next().unwrap().to_owned() };
        let accepted = async {
            tokio::select! {
                status = status => (status, None),
                peer = RelayPeer::accept(&upstream, "") => {
                    (String::new(), Some(peer))
                }
            }
        };
        match accepted.await {
            (_, Some(peer)) => {
                assert_eq!(
                    field(&peer.head, "X-Forwarded-User"),
                    Some("jane"),
                    "{forged:?}"
                );
                assert!(!peer.head.contains("admin"), "{}", peer.head);
            }
            (status, None) => assert_eq!(status, "HTTP/1.1 400 Bad Request", "{forged:?}"),
        }
    }
}

#[tokio::test]
async fn path_below_route_and_query_are_passed_on() {
    let upstream = Upstream::bind().await;
    for (pattern, base, target, expected) in [
        ("/app/**", "/base", "/app/a/b?c=d", "/base/a/b?c=d"),
        ("/app/**", "", "/app/", "/"),
        ("/app/**", "/base/", "/app/%61%2ab", "/base/a%2Ab"),
        ("/app/*", "", "/app/caf\u{e9}", "/caf%C3%A9"),
        ("/app", "/base", "/app?x", "/base?x"),
    ] {
        let server = upstream.relay_at(pattern, base, "");
        let (_client, peer) = tokio::join!(
            session(&server, target, AS_ADMIN),
            RelayPeer::accept(&upstream, "")
        );
        let line = peer.head.lines().next().unwrap();
        assert_eq!(line, format!("GET {expected} HTTP/1.1"), "{target}");
    }
    let server = upstream.relay_at("/app/**", "", "");
    for target in [
        "/app/../a",
        "/app/a//b",
        "/app/a%2Fb",
        "/app/%2e%2e/a",
        "/app/a%5Cb",
        "/app/%00",
    ] {
        let mut client = server.connect().with_timeout(STEP);
        client
            .send(handshake_with(AS_ADMIN.trim_end()).replace("GET / ", &format!("GET {target} ")))
            .await;
        let head = client.head().await;
        assert!(head.starts_with("HTTP/1.1 400 "), "{target}: {head}");
    }
}

#[tokio::test]
async fn upstream_selects_subprotocol_if_101_waits() {
    let upstream = Upstream::bind().await;
    for (keys, offered, selected) in [
        ("", Some("a, b"), Some("b")),
        ("subprotocols = [\"b\", \"c\"]\n", Some("b"), Some("b")),
        ("subprotocols = [\"c\"]\n", None, None),
        ("", Some("a, b"), None),
    ] {
        let server = upstream.relay(keys);
        let mut client = server.connect().with_timeout(STEP);
        let fields = format!("{AS_ADMIN}Sec-WebSocket-Protocol: a, b");
        client.send(handshake_with(&fields)).await;
        let answer = selected.map_or_else(String::new, |selected| {
            format!("Sec-WebSocket-Protocol: {selected}\r\n")
        });
        let peer = RelayPeer::accept(&upstream, &answer).await;
        assert_eq!(field(&peer.head, "Sec-Websocket-Protocol"), offered);
        let head = client.head().await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        let line = head
            .lines()
            .find(|line| line.to_lowercase().starts_with("sec-websocket-protocol"));
        assert_eq!(line.map(|line| line.split_once(": ").unwrap().1), selected);
    }
}

#[tokio::test]
async fn close_codes_pass_through_relay() {
    let upstream = Upstream::bind().await;
    let server = upstream.relay("");
    for (sent, expected) in [
        (1000, 1000),
        (1001, 1001),
        (1003, 1003),
        (1008, 1008),
        (1011, 1011),
        (1012, 1011),
        (1013, 1011),
        (3000, 3000),
        (4999, 4999),
    ] {
        let (mut client, mut peer) = connected(&server, &upstream).await;
        peer.send(Message::text("last words")).await;
        peer.send(close_frame(sent, "bye")).await;
        assert_eq!(client.text().await, "last words");
        assert_eq!(client.close().await, (expected, "bye".to_owned()), "{sent}");
        client.send(frame::close(1000, "")).await;
        client.end().await;

        let (mut client, mut peer) = connected(&server, &upstream).await;
        client.send(frame::text("last words")).await;
        client.send(frame::close(sent, "bye")).await;
        assert_eq!(peer.next().await, Message::text("last words"));
        assert_eq!(peer.close().await, (expected, "bye".to_owned()), "{sent}");
    }
    let (mut client, mut peer) = connected(&server, &upstream).await;
    peer.send(Message::Close(None)).await;
    assert_eq!(client.frame().await.payload, b"");
    let (mut client, peer) = connected(&server, &upstream).await;
    client.send(frame::masked(0x88, b"")).await;
    assert_eq!(peer.close().await, (1005, String::new()));
    let (client, peer) = connected(&server, &upstream).await;
    drop(client);
    assert_eq!(peer.close().await, (1001, "connection lost".to_owned()));
}

/// Returns the response to a handshake with Basic credentials.
async fn response(server: &TestServer) -> String {
    let mut client = server.connect().with_timeout(STEP);
    client.send(handshake_with(AS_ADMIN.trim_end())).await;
    String::from_utf8(client.rest().await).unwrap()
}

#[tokio::test]
async fn refused_or_slow_upstream_is_502_or_504() {
    let upstream = Upstream::bind().await;
    let server = upstream.relay("connect_deadline = \"200ms\"\n");
    for answer in [
        "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n",
        "SSH-2.0-OpenSSH\r\n",
        "",
    ] {
        let refuse = async {
            let mut io = upstream.accept().await;
            request_head(&mut io).await;
            io.write_all(answer.as_bytes()).await.unwrap();
            io.shutdown().await.unwrap();
            let _ = io.read_to_end(&mut Vec::new()).await;
        };
        let (answered, ()) = tokio::join!(response(&server), refuse);
        assert!(
            answered.starts_with("HTTP/1.1 502 Bad Gateway\r\n"),
            "{answer:?}: {answered}"
        );
    }
    let (answered, io) = tokio::join!(response(&server), upstream.accept());
    assert!(
        answered.starts_with("HTTP/1.1 504 Gateway Timeout\r\n"),
        "{answered}"
    );
    assert!(
        answered.ends_with("\r\n\r\nthe service behind this path did not answer in time\n"),
        "{answered}"
    );
    drop(io);

    let mut client = session(&server, "/", "").await.with_timeout(STEP);
    client.send(frame::text("admin:123456")).await;
    assert_eq!(client.text().await, CONGRATULATION);
    let unavailable = (1011, "upstream unavailable".to_owned());
    assert_eq!(client.close().await, unavailable);
}

/// The session ends at once, not after the deadline of the connection.
#[tokio::test]
async fn drain_ends_session_that_connects() {
    let upstream = Upstream::bind().await;
    let server = upstream.relay("connect_deadline = \"1h\"\n");
    let mut client = session(&server, "/", "").await.with_timeout(STEP);
    client.send(frame::text("admin:123456")).await;
    assert_eq!(client.text().await, CONGRATULATION);
    let _silent = upstream.accept().await;
    let mut waiting = server.connect().with_timeout(STEP);
    waiting.send(handshake_with(AS_ADMIN.trim_end())).await;
    let _silent = upstream.accept().await;
    let ends = async {
        assert_eq!(client.close().await.0, 1001);
        client.send(frame::close(1001, "")).await;
        client.end().await;
        assert!(waiting.head().await.starts_with("HTTP/1.1 503 "));
        drop(waiting);
    };
    tokio::join!(server.0.end_all(), ends);
    assert!(server.0.tasks.is_empty());
}

const SOON: &str = "[limits]\nwrite_deadline = \"300ms\"\nclose_deadline = \"300ms\"\n";

#[test]
fn upstream_that_does_not_read_ends_session() {
    on_workers(async || {
        let upstream = Upstream::bind().await;
        let server = upstream.relay(PINGED);
        let (client, peer) = connected(&server, &upstream).await;
        let mut io = client.into_inner();
        let message = frame::binary(&vec![0; 1 << 20]);
        let mut sent = 0;
        while let Ok(written) = timeout(seconds(2), io.write_all(&message)).await
            && written.is_ok()
        {
            sent += message.len();
            assert!(sent < 64 << 20, "the server reads without limit");
        }
        let mut client = RawPeer::new(io).with_timeout(STEP);
        assert_eq!(client.close().await, (1011, "upstream too slow".to_owned()));
        drop(client);
        timeout(STEP, server.0.end_all()).await.unwrap();
        assert!(server.0.tasks.is_empty());
        drop(peer);
    });
}

#[test]
fn client_that_does_not_read_ends_session() {
    on_workers(async || {
        let upstream = Upstream::bind().await;
        let server = upstream.relay(SOON);
        let (client, mut peer) = connected(&server, &upstream).await;
        let message = Message::binary(vec![0; 1 << 20]);
        let mut sent = 0;
        while let Ok(written) = timeout(seconds(2), peer.websocket.send(message.clone())).await
            && written.is_ok()
        {
            sent += 1;
            assert!(sent < 64, "the server reads without limit");
        }
        drop(client);
        timeout(STEP, server.0.end_all()).await.unwrap();
        assert!(server.0.tasks.is_empty());
        let closed = "ws_server_closes_total{code=\"1013\",side=\"server\"}";
        assert_eq!(server.metric(closed), 1);
    });
}

/// A client that only receives must not lose what the upstream sends while the upstream reads nothing.
#[tokio::test]
async fn stopped_direction_does_not_stop_the_other() {
    let upstream = Upstream::bind().await;
    let server = upstream.relay("");
    let (client, mut peer) = connected(&server, &upstream).await;
    let mut io = client.into_inner();
    let message = frame::binary(&vec![0; 1 << 20]);
    while timeout(Duration::from_millis(300), io.write_all(&message))
        .await
        .is_ok()
    {}
    let mut client = RawPeer::new(io).with_timeout(STEP);
    for text in ["one", "two"] {
        peer.send(Message::text(text)).await;
        assert_eq!(client.text().await, text);
    }
}

#[tokio::test]
async fn message_over_limit_of_route_closes_both_with_1009() {
    let upstream = Upstream::bind().await;
    let server = upstream.relay("max_message_bytes = \"1KiB\"\n");
    let (mut client, mut peer) = connected(&server, &upstream).await;
    peer.send(Message::text("x".repeat(1025))).await;
    let too_big = (1009, "message too big".to_owned());
    assert_eq!(client.close().await, too_big);
    client.send(frame::close(1009, "")).await;
    assert_eq!(peer.close().await, too_big);

    let (mut client, peer) = connected(&server, &upstream).await;
    client.send(frame::text(&"x".repeat(1025))).await;
    assert_eq!(client.close().await, too_big);
    client.send(frame::close(1009, "")).await;
    assert_eq!(peer.close().await, too_big);
}

#[tokio::test]
async fn silent_upstream_is_pinged_then_lost() {
    let upstream = Upstream::bind().await;
    let limits = "[limits]\nping_interval = \"100ms\"\nping_timeout = \"300ms\"\nclose_deadline = \"100ms\"\n";
    let server = upstream.relay(limits);
    let (mut client, mut peer) = connected(&server, &upstream).await;
    assert!(matches!(peer.next().await, Message::Ping(_)));
    // The upstream is not polled any more, so it sends no Pong. The client is alive.
    let close = async {
        loop {
            let frame = client.frame().await;
            if frame.first == 0x88 {
                return frame.close();
            }
            client.try_send(frame::pong(&frame.payload)).await;
        }
    };
    assert_eq!(close.await, (1011, "upstream connection lost".to_owned()));
}

#[tokio::test]
async fn ping_of_upstream_is_answered_by_relay() {
    let upstream = Upstream::bind().await;
    let server = upstream.relay("");
    let (_client, mut peer) = connected(&server, &upstream).await;
    peer.send(Message::Ping("a".into())).await;
    assert_eq!(peer.next().await, Message::Pong("a".into()));
}

#[test]
fn revocation_and_drain_close_both_hops() {
    on_workers(async || {
        let upstream = Upstream::bind().await;
        let server = upstream.relay("");
        let (mut admin, mut of_admin) = connected(&server, &upstream).await;
        let (jane, of_jane) = tokio::join!(
            session(&server, "/", AS_JANE),
            RelayPeer::accept(&upstream, "")
        );
        let (mut jane, mut of_jane) = (jane.with_timeout(STEP), of_jane);
        // The message shows that the session is registered.
        jane.send(frame::text("here")).await;
        assert_eq!(of_jane.next().await, Message::text("here"));
        let source = format!(
            "[[route]]\npath = \"/\"\nservice = \"relay\"\nto = \"ws://{}\"\nusers = [\"admin\"]\n",
            upstream.address()
        );
        assert_eq!(server.0.reload(config(&source), accounts(TWO)), 1);
        let revoked = (3003, "access to this route was revoked".to_owned());
        assert_eq!(jane.close().await, revoked);
        assert_eq!(of_jane.close().await, revoked);
        drop(jane);
        admin.send(frame::text("still here")).await;
        assert_eq!(of_admin.next().await, Message::text("still here"));

        let drained = (1001, "server is shutting down, back in 2 s".to_owned());
        let ends = async {
            assert_eq!(admin.close().await, drained);
            admin.send(frame::close(1001, "")).await;
            admin.end().await;
            assert_eq!(of_admin.close().await, drained);
        };
        tokio::join!(server.0.end_all(), ends);
        assert!(server.0.tasks.is_empty(), "all have ended");
    });
}

#[tokio::test]
async fn killed_upstream_closes_with_1011() {
    let upstream = Upstream::bind().await;
    let server = upstream.relay("");
    let (mut client, peer) = connected(&server, &upstream).await;
    drop(peer);
    let lost = (1011, "upstream connection lost".to_owned());
    assert_eq!(client.close().await, lost);
}

#[tokio::test]
async fn violation_of_upstream_closes_with_1011() {
    let upstream = Upstream::bind().await;
    let server = upstream.relay("");
    for bytes in [
        &b"\x81\x80\0\0\0\0"[..],
        b"\x83\0",
        b"\x81\x01\xff",
        b"\xc1\0",
    ] {
        let (mut client, mut peer) = connected(&server, &upstream).await;
        peer.websocket.get_mut().write_all(bytes).await.unwrap();
        let lost = (1011, "upstream connection lost".to_owned());
        assert_eq!(client.close().await, lost, "{bytes:?}");
        client.send(frame::close(1011, "")).await;
        let (code, _) = peer.close().await;
        assert!([1002, 1007].contains(&code), "{bytes:?}: {code}");
    }
}
