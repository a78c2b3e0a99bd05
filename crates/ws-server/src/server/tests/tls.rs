//! TLS handshakes on duplex pipes.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use proto::credentials::Accounts;
use raw_peer::{HANDSHAKE, RawPeer, frame};
use rcgen::{CertificateParams, KeyPair};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream, duplex},
    time::{Instant, sleep, timeout},
};
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        self, ClientConfig, ProtocolVersion, RootCertStore,
        crypto::ring,
        pki_types::{CertificateDer, ServerName, pem::PemObject as _},
        version::{TLS12, TLS13},
    },
};

use crate::{
    config::Config,
    server::{
        ServerHandle, accepted::AcceptedConnection, state::ServerState, stream::ServedStream,
        tests::routes, tls::serve,
    },
    tls::{Tls, certificates, private_key},
};

/// Longer than any deadline under test.
const TIMEOUT: Duration = Duration::from_hours(1);

/// Returns a self-signed certificate and its key, as PEM.
fn issued() -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

fn tls(certificate: &str, key: &str) -> Tls {
    let chain = certificates(certificate.as_bytes()).unwrap();
    Tls::new(chain, private_key(key.as_bytes()).unwrap()).unwrap()
}

/// A TLS server without a listener.
struct TestServer {
    state: Arc<ServerState>,
    tls: Tls,
    /// The certificate and its key, as PEM.
    issued: (String, String),
}

impl TestServer {
    fn new() -> Self {
        Self::with(Config::default())
    }

    fn with(config: Config) -> Self {
        let accounts = Accounts::from_toml("[[user]]\nname = \"admin\"\npassword = \"123456\"");
        let (certificate, key) = issued();
        Self {
            state: Arc::new(ServerState::new(config, accounts.unwrap())),
            tls: tls(&certificate, &key),
            issued: (certificate, key),
        }
    }

    /// Returns the number of TLS handshakes with this result.
    fn handshakes(&self, result: &str) -> usize {
        let metrics = ServerHandle::new(None, Arc::clone(&self.state)).metrics(0);
        let series = format!("ws_server_tls_handshakes_total{{result=\"{result}\"}} ");
        let count = metrics.lines().find_map(|it| it.strip_prefix(&series));
        count.map_or(0, |count| count.parse().unwrap())
    }

    /// Connects, without any input.
    fn connect(&self) -> DuplexStream {
        // Small, but with capacity for the bytes that a server sends before it reads again.
        let (ours, theirs) = duplex(1024);
        self.serve(theirs);
        ours
    }

    fn serve<S: ServedStream>(&self, io: S) {
        let peer = SocketAddr::from(([192, 0, 2, 1], 1024));
        let permit = self.state.enter(peer.ip()).unwrap();
        let accepted = AcceptedConnection::new(peer, permit, &self.state);
        let connection = serve(io, self.tls.clone(), accepted, Arc::clone(&self.state));
        self.state.tasks.spawn(connection);
    }

    /// Returns the configuration of a client that trusts this server.
    fn client(&self, version: &'static rustls::SupportedProtocolVersion) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        let certificate = CertificateDer::from_pem_slice(self.issued.0.as_bytes());
        roots.add(certificate.unwrap()).unwrap();
        ClientConfig::builder_with_provider(ring::default_provider().into())
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth()
    }
}

async fn connect_tls<S>(client: ClientConfig, io: S) -> std::io::Result<TlsStream<S>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let connector = TlsConnector::from(Arc::new(client));
    let name = ServerName::try_from("localhost").unwrap();
    connector.connect(name, io).await
}

#[tokio::test(start_paused = true)]
async fn session_runs_over_tls_1_2_and_1_3() {
    for (version, number) in [
        (&TLS12, ProtocolVersion::TLSv1_2),
        (&TLS13, ProtocolVersion::TLSv1_3),
    ] {
        let server = TestServer::new();
        let stream = connect_tls(server.client(version), server.connect())
            .await
            .unwrap();
        assert_eq!(stream.get_ref().1.protocol_version(), Some(number));
        let mut peer = RawPeer::new(stream).with_timeout(TIMEOUT);
        peer.log_in().await;
        let long = vec![7; 1 << 20];
        let (mut reads, mut writes) = tokio::io::split(peer.into_inner());
        // The echo exceeds all buffers, so read and write concurrently.
        let sent = async {
            writes.write_all(&frame::binary(&long)).await.unwrap();
            writes.flush().await.unwrap();
        };
        let mut echo = vec![0; 10 + long.len()];
        let (read, ()) = tokio::join!(reads.read_exact(&mut echo), sent);
        read.unwrap();
        assert!(echo[10..] == long);

        let mut peer = RawPeer::new(reads.unsplit(writes)).with_timeout(TIMEOUT);
        peer.send(frame::close(1000, "user exit")).await;
        assert_eq!(peer.close().await, (1000, "user exit".to_owned()));
        // Ended by close_notify: a truncated stream would be an error.
        let mut rest = Vec::new();
        peer.into_inner().read_to_end(&mut rest).await.unwrap();
        assert!(rest.is_empty(), "{rest:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn drain_sends_close_then_close_notify() {
    let server = TestServer::new();
    let stream = connect_tls(server.client(&TLS13), server.connect())
        .await
        .unwrap();
    let mut peer = RawPeer::new(stream).with_timeout(TIMEOUT);
    peer.log_in().await;
    let end = async {
        assert_eq!(peer.close().await.0, 1001);
        peer.send(frame::close(1001, "")).await;
        let mut rest = Vec::new();
        peer.into_inner().read_to_end(&mut rest).await.unwrap();
        assert!(rest.is_empty(), "{rest:?}");
    };
    tokio::join!(server.state.end_all(), end);
    assert!(server.state.tasks.is_empty());
}

#[tokio::test(start_paused = true)]
async fn alpn_selects_http_1_1_or_fails() {
    let offered = |protocols: &[&str]| {
        let server = TestServer::new();
        let mut client = server.client(&TLS13);
        client.alpn_protocols = protocols.iter().map(|it| it.as_bytes().to_vec()).collect();
        async move {
            let stream = connect_tls(client, server.connect()).await?;
            Ok::<_, std::io::Error>(stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec))
        }
    };
    assert_eq!(offered(&[]).await.unwrap(), None);
    let http = Some(b"http/1.1".to_vec());
    assert_eq!(offered(&["h2", "http/1.1"]).await.unwrap(), http);
    let refused = offered(&["h2"]).await.unwrap_err().to_string();
    assert!(refused.contains("NoApplicationProtocol"), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn tls_and_http_handshake_share_deadline() {
    let server = TestServer::new();
    let start = Instant::now();
    let mut silent = server.connect();
    assert_eq!(silent.read(&mut [0; 1]).await.unwrap(), 0);
    assert_eq!(start.elapsed(), Duration::from_secs(10));

    // The time of the TLS handshake reduces that of the HTTP handshake.
    let start = Instant::now();
    let io = server.connect();
    sleep(Duration::from_secs(9)).await;
    let mut slow = connect_tls(server.client(&TLS13), io).await.unwrap();
    slow.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    let _ = slow.read(&mut [0; 1]).await;
    assert_eq!(start.elapsed(), Duration::from_secs(10));
    assert_eq!(server.handshakes("late"), 1);
}

#[tokio::test(start_paused = true)]
async fn drain_does_not_wait_for_tls_handshake() {
    let server = TestServer::new();
    let mut slow = server.connect();
    // The beginning of a handshake.
    slow.write_all(&[22, 3, 1, 0]).await.unwrap();
    let ended = timeout(Duration::from_secs(1), server.state.end_all()).await;
    ended.expect("the drain does not wait");
    assert_eq!(slow.read(&mut [0; 1]).await.unwrap(), 0);
}

#[tokio::test(start_paused = true)]
async fn silent_handshakes_delay_no_handshake() {
    let server = TestServer::new();
    let mut silent: Vec<_> = (0..50).map(|_| server.connect()).collect();
    for silent in &mut silent {
        // The beginning of a handshake.
        silent.write_all(&[22, 3, 1, 0]).await.unwrap();
    }
    let start = Instant::now();
    let connected = connect_tls(server.client(&TLS13), server.connect()).await;
    connected.unwrap();
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert_eq!(server.state.tls_turns.free_and_waiting(), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn handshake_without_turn_ends_at_deadline() {
    let server = TestServer::new();
    let turn = server.state.tls_turns.try_acquire();
    let start = Instant::now();
    let refused = connect_tls(server.client(&TLS13), server.connect()).await;
    refused.unwrap_err();
    assert_eq!(start.elapsed(), Duration::from_secs(10));
    assert_eq!(server.handshakes("late"), 1);
    drop(turn);
    let connected = connect_tls(server.client(&TLS13), server.connect()).await;
    connected.unwrap();
}

#[tokio::test(start_paused = true)]
async fn plain_text_on_tls_port_ends_at_once() {
    let server = TestServer::new();
    let start = Instant::now();
    let mut plain = server.connect();
    plain.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer).await;
    assert_eq!(start.elapsed(), Duration::ZERO);
    // A TLS alert or nothing: no response is sent unencrypted.
    assert!(
        matches!(answer[..], [] | [21, 3, _, 0, 2, 2, _]),
        "{answer:?}"
    );
    assert_eq!(server.handshakes("failed"), 1);
    let metrics = ServerHandle::new(None, Arc::clone(&server.state)).metrics(0);
    let counted = "ws_server_handshakes_total{status=\"none\"} 1\n";
    assert!(metrics.contains(counted), "{metrics}");
}

/// A client that reconnects after a change of the certificate must see the new one.
#[tokio::test(start_paused = true)]
async fn tls_session_resumed_until_certificate_changes() {
    let mut server = TestServer::new();
    let client = server.client(&TLS13);
    let kind = async |server: &TestServer| {
        let stream = connect_tls(client.clone(), server.connect()).await.unwrap();
        let kind = stream.get_ref().1.handshake_kind();
        // The client reads the session ticket together with the first data.
        let mut peer = RawPeer::new(stream).with_timeout(TIMEOUT);
        peer.upgrade().await;
        kind
    };
    assert_eq!(kind(&server).await, Some(rustls::HandshakeKind::Full));
    assert_eq!(kind(&server).await, Some(rustls::HandshakeKind::Resumed));
    server.tls = tls(&server.issued.0, &server.issued.1);
    assert_eq!(kind(&server).await, Some(rustls::HandshakeKind::Full));
}

/// Former fault: what TLS had encrypted and the socket had not taken did not count, 64 KiB for each
/// connection.
#[tokio::test(start_paused = true)]
async fn encrypted_bytes_count_until_written() {
    let server = TestServer::new();
    let held = || {
        let metrics = ServerHandle::new(None, Arc::clone(&server.state)).metrics(0);
        let held = metrics
            .lines()
            .find_map(|it| it.strip_prefix("ws_server_buffered_bytes "));
        held.unwrap().parse::<usize>().unwrap()
    };
    let (ours, theirs) = duplex(60 * 1024);
    server.serve(theirs);
    let client = server.client(&TLS13);
    let stream = connect_tls(client, ours).await.unwrap();
    let mut peer = RawPeer::new(stream).with_timeout(TIMEOUT);
    peer.log_in().await;
    // Messages of 10 KiB: their buffer in the decoder is free. The pipe takes five answers.
    let messages = frame::binary(&vec![7; 10 * 1024]).repeat(5);
    for _ in 0..2 {
        peer.send(&messages).await;
        sleep(Duration::from_millis(1)).await;
    }
    assert!(held() >= 40 * 1024, "{}", held());
    for _ in 0..10 {
        assert_eq!(peer.frame().await.payload.len(), 10 * 1024);
    }
    sleep(Duration::from_millis(1)).await;
    assert_eq!(held(), 0);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn room_over_tls_limits_unsent_bytes() {
    use crate::server::tests::sockets::{MAX_UNSENT_BYTES, connected};

    let server = TestServer::with(routes::config(routes::ROUTES));
    for (path, is_limited) in [("/", false), ("/room/lobby", true)] {
        let (client, io, limit) = connected().await;
        let before = limit();
        server.serve(io);
        let stream = connect_tls(server.client(&TLS13), client).await.unwrap();
        let mut peer = RawPeer::new(stream);
        let request = HANDSHAKE
            .replace("GET / ", &format!("GET {path} "))
            .replace("\r\n\r\n", &format!("\r\n{}\r\n", routes::AS_ADMIN));
        peer.send(request).await;
        assert!(peer.head().await.starts_with("HTTP/1.1 101 "), "{path}");
        let expected = if is_limited { MAX_UNSENT_BYTES } else { before };
        assert_eq!(limit(), expected, "{path}");
    }
}
