//! The stream service, between connections on pipes and upstreams on sockets.

use std::future::Future;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, UnixListener},
    runtime::Builder,
};

use crate::server::tests::{
    harness::*,
    routes::{AS_ADMIN, AS_JANE, TWO, accounts, config, session},
};

/// The timeout of a step, which only a failing test reaches.
pub(super) const STEP: Duration = Duration::from_secs(30);

/// Runs a test with two and with four worker threads.
pub(super) fn on_workers<F: Future<Output = ()>>(test: impl Fn() -> F) {
    for workers in [2, 4] {
        let mut builder = Builder::new_multi_thread();
        let runtime = builder.worker_threads(workers).enable_all().build();
        runtime.unwrap().block_on(test());
    }
}

/// An upstream on TCP, which the test plays.
pub(super) struct Upstream(TcpListener);

impl Upstream {
    pub(super) async fn bind() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }

    /// Accepts the next connection.
    pub(super) async fn accept(&self) -> TcpStream {
        let accepted = timeout(STEP, self.0.accept()).await;
        accepted.expect("the server connects in time").unwrap().0
    }

    /// Returns a server with a stream to this upstream at `/`.
    pub(super) fn server(&self, keys: &str) -> TestServer {
        server(&format!("tcp://{}", self.address()), keys)
    }
}

/// Returns a server with a stream at `/`. `keys` are further lines of the route, and tables below it.
fn server(to: &str, keys: &str) -> TestServer {
    let source = format!("[[route]]\npath = \"/\"\nservice = \"stream\"\nto = \"{to}\"\n{keys}");
    TestServer(Arc::new(ServerState::new(config(&source), accounts(TWO))))
}

/// Reads this many bytes.
async fn read(io: &mut TcpStream, bytes: usize) -> Vec<u8> {
    let mut read = vec![0; bytes];
    let all = timeout(STEP, io.read_exact(&mut read)).await;
    all.expect("the bytes arrive in time").unwrap();
    read
}

/// Reads to the end of the stream.
async fn read_to_end(io: &mut TcpStream) -> Vec<u8> {
    let mut read = Vec::new();
    let all = timeout(STEP, io.read_to_end(&mut read)).await;
    all.expect("the stream ends in time").unwrap();
    read
}

/// Connects with Basic credentials. Returns both ends.
pub(super) async fn connected(
    server: &TestServer,
    upstream: &Upstream,
) -> (RawPeer<DuplexStream>, TcpStream) {
    let client = session(server, "/", AS_ADMIN).await.with_timeout(STEP);
    (client, upstream.accept().await)
}

#[test]
fn bytes_pass_both_ways_after_each_login() {
    on_workers(async || {
        let upstream = Upstream::bind().await;
        let server = upstream.server("");
        for fields in [AS_ADMIN, ""] {
            let mut client = session(&server, "/", fields).await.with_timeout(STEP);
            if fields.is_empty() {
                client.send(frame::text("jane:x")).await;
                assert_eq!(client.text().await, CONGRATULATION);
            }
            let mut io = upstream.accept().await;
            client.send(frame::binary(b"hello")).await;
            client.send(frame::text(" world")).await;
            assert_eq!(read(&mut io, 11).await, b"hello world");
            io.write_all(b"\x00\xff").await.unwrap();
            let received = client.frame().await;
            assert_eq!(
                (received.first, &*received.payload),
                (0x82, &b"\x00\xff"[..])
            );
        }
    });
}

#[test]
fn end_of_upstream_follows_all_its_bytes() {
    on_workers(async || {
        let upstream = Upstream::bind().await;
        let server = upstream.server("");
        let (mut client, mut io) = connected(&server, &upstream).await;
        let sent: Vec<u8> = (0..3_000_000_u32).map(|i| i.to_le_bytes()[0]).collect();
        let sending = async {
            io.write_all(&sent).await.unwrap();
            drop(io);
        };
        let receiving = async {
            let mut received = Vec::new();
            loop {
                let frame = client.frame().await;
                if frame.first == 0x88 {
                    return (received, frame.close());
                }
                received.extend(frame.payload);
            }
        };
        let ((), (received, close)) = tokio::join!(sending, receiving);
        assert!(received == sent, "{} bytes", received.len());
        assert_eq!(close, (1000, "end of stream".to_owned()));
    });
}

/// The close deadline bounds the closing handshake, not the delivery to a client that reads slowly.
#[tokio::test]
async fn slow_client_gets_all_bytes_before_end() {
    let upstream = Upstream::bind().await;
    let server = upstream.server("[limits]\nclose_deadline = \"100ms\"\n");
    let (mut client, mut io) = connected(&server, &upstream).await;
    io.write_all(&vec![7; 130_000]).await.unwrap();
    drop(io);
    let mut received = 0;
    while received < 130_000 {
        // The pipe has room for the half, and each pause is longer than the deadline.
        if received % (1 << 16) == 0 {
            sleep(Duration::from_millis(300)).await;
        }
        received += client.frame().await.payload.len();
    }
    assert_eq!(client.close().await, (1000, "end of stream".to_owned()));
}

#[test]
fn close_of_client_follows_all_its_bytes() {
    on_workers(async || {
        let upstream = Upstream::bind().await;
        let server = upstream.server("");
        let (mut client, mut io) = connected(&server, &upstream).await;
        let sent = vec![7; 1 << 20];
        let sending = async {
            client.send(frame::binary(&sent)).await;
            client.send(frame::close(1000, "done")).await;
        };
        let ((), received) = tokio::join!(sending, read_to_end(&mut io));
        assert!(received == sent, "{} bytes", received.len());
        drop(io);
        assert_eq!(client.close().await, (1000, "done".to_owned()));
        client.end().await;
    });
}

#[tokio::test]
async fn empty_message_ends_one_direction_if_configured() {
    let upstream = Upstream::bind().await;
    let server = upstream.server("half_close = \"empty-message\"\n");
    let (mut client, mut io) = connected(&server, &upstream).await;
    client.send(frame::binary(b"request")).await;
    client.send(frame::binary(b"")).await;
    assert_eq!(read_to_end(&mut io).await, b"request");
    io.write_all(b"response").await.unwrap();
    assert_eq!(client.frame().await.payload, b"response");
    client.send(frame::binary(b"more")).await;
    let late = (1003, "a message after the end of the stream".to_owned());
    assert_eq!(client.close().await, late);

    let server = upstream.server("");
    let (mut client, mut io) = connected(&server, &upstream).await;
    client.send(frame::binary(b"")).await;
    client.send(frame::binary(b"more")).await;
    assert_eq!(read(&mut io, 4).await, b"more");
}

#[tokio::test]
async fn text_refused_if_configured() {
    let upstream = Upstream::bind().await;
    let server = upstream.server("text = \"refuse\"\n");
    let (mut client, mut io) = connected(&server, &upstream).await;
    client.send(frame::binary(b"a")).await;
    client.send(frame::text("b")).await;
    let refused = (1003, "this service takes binary messages".to_owned());
    assert_eq!(client.close().await, refused);
    assert_eq!(read_to_end(&mut io).await, b"a");
}

#[tokio::test]
async fn subprotocol_binary_accepted_by_default() {
    let upstream = Upstream::bind().await;
    for (keys, offer, chosen) in [
        ("", "base64, binary", Some("binary")),
        ("", "base64", None),
        (
            "subprotocols = [\"base64\"]\n",
            "base64, binary",
            Some("base64"),
        ),
        ("subprotocols = []\n", "binary", None),
    ] {
        let server = upstream.server(keys);
        let mut client = server.connect();
        let fields = format!("{AS_ADMIN}Sec-WebSocket-Protocol: {offer}");
        client.send(handshake_with(&fields)).await;
        let head = client.head().await.to_lowercase();
        assert!(head.starts_with("http/1.1 101 "), "{head}");
        let field = head.split_once("sec-websocket-protocol: ");
        let found = field.map(|(_, rest)| rest.lines().next().unwrap());
        assert_eq!(found, chosen, "{offer}");
    }
}

#[tokio::test]
async fn proxy_header_names_client_and_user() {
    let upstream = Upstream::bind().await;
    let server = upstream.server("proxy_protocol = \"v2\"\n");
    let mut client = session(&server, "/", AS_JANE).await.with_timeout(STEP);
    client.send(frame::binary(b"x")).await;
    let mut io = upstream.accept().await;
    let expected =
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x13\xc0\0\x02\x01\0\0\0\0\x04\0\0\0\xe0\0\x04janex";
    assert_eq!(read(&mut io, expected.len()).await, expected);
}

#[tokio::test]
async fn unix_socket_is_an_upstream() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    let server = server(&format!("unix:{}", path.display()), "");
    let mut client = session(&server, "/", AS_ADMIN).await.with_timeout(STEP);
    let (mut io, _) = listener.accept().await.unwrap();
    client.send(frame::binary(b"hello")).await;
    let mut read = [0; 5];
    io.read_exact(&mut read).await.unwrap();
    assert_eq!(&read, b"hello");
}

#[tokio::test]
async fn absent_upstream_is_502_or_1011() {
    let upstream = Upstream::bind().await;
    let server = upstream.server("");
    drop(upstream);
    let mut basic = server.connect().with_timeout(STEP);
    basic.send(handshake_with(AS_ADMIN.trim_end())).await;
    let answer = String::from_utf8(basic.rest().await).unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 502 Bad Gateway\r\n"),
        "{answer}"
    );
    assert!(
        answer.ends_with("\r\n\r\nthe service behind this path cannot be reached\n"),
        "{answer}"
    );
    let mut message = session(&server, "/", "").await.with_timeout(STEP);
    message.send(frame::text("jane:x")).await;
    assert_eq!(message.text().await, CONGRATULATION);
    let unavailable = (1011, "upstream unavailable".to_owned());
    assert_eq!(message.close().await, unavailable);
    let count = "ws_server_upstream_connections_total{route=\"/\",result=\"unavailable\"}";
    assert_eq!(server.metric(count), 2);
}

/// A wrong login must not reach the upstream.
#[tokio::test]
async fn upstream_not_contacted_before_login() {
    let upstream = Upstream::bind().await;
    let server = upstream.server("");
    let mut wrong = server.connect().with_timeout(STEP);
    wrong
        .send(handshake_with("Authorization: Basic eDp5"))
        .await;
    assert!(wrong.head().await.starts_with("HTTP/1.1 401 "));
    let mut message = session(&server, "/", "").await.with_timeout(STEP);
    message.send(frame::text("jane:wrong")).await;
    assert_eq!(message.text().await, SORRY);
    // The next connection is the first one.
    let _jane = session(&server, "/", AS_JANE).await;
    upstream.accept().await;
    let count = "ws_server_upstream_connections_total{route=\"/\",result=\"ok\"}";
    assert_eq!(server.metric(count), 1);
}

/// Limits that end a stalled session soon.
const SOON: &str = "[limits]\nwrite_deadline = \"300ms\"\nclose_deadline = \"300ms\"\n";

/// Limits by which a client that is not read would seem silent before its session ends.
pub(super) const PINGED: &str = "[limits]\nping_interval = \"300ms\"\nping_timeout = \"300ms\"\n\
                                 write_deadline = \"1500ms\"\nclose_deadline = \"300ms\"\n";

#[test]
fn upstream_that_does_not_read_ends_session() {
    on_workers(async || {
        let upstream = Upstream::bind().await;
        let server = upstream.server(PINGED);
        let (client, mut io) = connected(&server, &upstream).await;
        let mut peer = client.into_inner();
        let message = frame::binary(&vec![0; 1 << 20]);
        let mut sent = 0;
        // The messages that are neither read by the upstream nor by the server block the client.
        while let Ok(written) = timeout(seconds(2), peer.write_all(&message)).await
            && written.is_ok()
        {
            sent += message.len();
            assert!(sent < 64 << 20, "the server reads without limit");
        }
        let mut client = RawPeer::new(peer).with_timeout(STEP);
        let stalled = (1011, "upstream too slow".to_owned());
        assert_eq!(client.close().await, stalled);
        drop(client);
        // The bytes read from the client were written, and then the connection ended.
        let read = timeout(STEP, tokio::io::copy(&mut io, &mut tokio::io::sink())).await;
        let read = read.expect("the stream ends");
        assert!(read.is_err() || read.is_ok_and(|read| read <= sent as u64 + (1 << 20)));
        timeout(STEP, server.0.end_all()).await.unwrap();
        assert!(server.0.tasks.is_empty());
    });
}

#[test]
fn client_that_does_not_read_ends_session() {
    on_workers(async || {
        let upstream = Upstream::bind().await;
        let server = upstream.server(SOON);
        let (client, mut io) = connected(&server, &upstream).await;
        let bytes = vec![0; 1 << 20];
        let mut sent = 0;
        while let Ok(written) = timeout(seconds(2), io.write_all(&bytes)).await
            && written.is_ok()
        {
            sent += bytes.len();
            assert!(sent < 64 << 20, "the server reads without limit");
        }
        drop(client);
        timeout(STEP, server.0.end_all()).await.unwrap();
        assert!(server.0.tasks.is_empty());
        let closed = "ws_server_closes_total{code=\"1013\",side=\"server\"}";
        assert_eq!(server.metric(closed), 1);
    });
}

#[test]
fn revocation_and_drain_end_both_hops() {
    on_workers(async || {
        let upstream = Upstream::bind().await;
        let server = upstream.server("");
        let (mut admin, mut of_admin) = connected(&server, &upstream).await;
        let mut jane = session(&server, "/", AS_JANE).await.with_timeout(STEP);
        let mut of_jane = upstream.accept().await;
        // The bytes show that the session is registered.
        jane.send(frame::binary(b"here")).await;
        assert_eq!(read(&mut of_jane, 4).await, b"here");
        let source = format!(
            "[[route]]\npath = \"/\"\nservice = \"stream\"\nto = \"tcp://{}\"\nusers = [\"admin\"]\n",
            upstream.address()
        );
        assert_eq!(server.0.reload(config(&source), accounts(TWO)), 1);
        let revoked = (3003, "access to this route was revoked".to_owned());
        assert_eq!(jane.close().await, revoked);
        assert_eq!(read_to_end(&mut of_jane).await, b"");
        drop((jane, of_jane));
        admin.send(frame::binary(b"still here")).await;
        assert_eq!(read(&mut of_admin, 10).await, b"still here");

        let ends = async {
            let drained = (1001, "server is shutting down, back in 2 s".to_owned());
            assert_eq!(admin.close().await, drained);
            admin.send(frame::close(1001, "")).await;
            admin.end().await;
            assert_eq!(read_to_end(&mut of_admin).await, b"");
            drop(of_admin);
        };
        tokio::join!(server.0.end_all(), ends);
        assert!(server.0.tasks.is_empty(), "all have ended");
    });
}

#[tokio::test]
async fn reset_of_upstream_closes_with_1011() {
    let upstream = Upstream::bind().await;
    let server = upstream.server("");
    let (mut client, io) = connected(&server, &upstream).await;
    socket2::SockRef::from(&io)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
    drop(io);
    let lost = (1011, "upstream connection lost".to_owned());
    assert_eq!(client.close().await, lost);
}
