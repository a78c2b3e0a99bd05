//! Logins by Basic credentials in the handshake.

use crate::server::tests::{harness::*, hashing};

#[tokio::test(start_paused = true)]
async fn basic_login_needs_no_message() {
    let server = TestServer::new();
    let mut peer = server.connect();
    let mut all = basic_handshake(CREDENTIALS).into_bytes();
    all.extend(frame::text("hello"));
    peer.send(all).await;
    assert!(peer.head().await.starts_with("HTTP/1.1 101 "));
    assert_eq!(peer.text().await, "your submit context: hello");
}

#[tokio::test(start_paused = true)]
async fn basic_login_lifts_limit_and_frees_slot() {
    let mut config = Config::default();
    config.limits.max_unauthenticated = Some(Count(NonZeroUsize::MIN));
    let server = TestServer::with(config);
    let mut peer = server.connect();
    peer.send(basic_handshake(CREDENTIALS)).await;
    assert!(peer.head().await.starts_with("HTTP/1.1 101 "));
    peer.send(frame::text(&"x".repeat(100_000))).await;
    assert_eq!(peer.text().await.len(), 100_021);
    server.session().await;
}

#[tokio::test(start_paused = true)]
async fn wrong_credentials_refused_with_challenge() {
    for field in [
        "Authorization: Basic YWRtaW46d3Jvbmc=",
        "Authorization: Bearer YWRtaW46MTIzNDU2",
        "Authorization: Basic YWRtaW46MTIzNDU2\r\nAuthorization: Basic YWRtaW46MTIzNDU2",
    ] {
        let server = TestServer::new();
        let mut peer = server.connect();
        peer.send(handshake_with(field)).await;
        let head = peer.head().await;
        assert!(head.starts_with("HTTP/1.1 401 "), "{head}");
        let challenge = "Www-Authenticate: Basic realm=\"ws-server\", charset=\"UTF-8\"\r\n";
        assert!(head.contains(challenge), "{head}");
        assert_eq!(peer.rest().await, b"the username or password is wrong\n");
    }
}

#[tokio::test(start_paused = true)]
async fn handshake_deadline_includes_hashing() {
    let server = TestServer::of(hashing::one_worker(), hashing::HASHED);
    let _busy = server.0.verifier.acquire_worker().await;
    let mut peer = server.connect();
    let start = Instant::now();
    peer.send(basic_handshake(CREDENTIALS)).await;
    peer.end().await;
    assert_eq!(start.elapsed().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn queued_login_refused_with_503_at_drain() {
    let server = TestServer::of(hashing::one_worker(), hashing::HASHED);
    let _busy = server.0.verifier.acquire_worker().await;
    let mut peer = server.connect();
    peer.send(basic_handshake(CREDENTIALS)).await;
    sleep(Duration::from_millis(1)).await;
    let answer = async {
        assert!(peer.head().await.starts_with("HTTP/1.1 503 "));
        drop(peer);
    };
    tokio::join!(server.0.end_all(), answer);
    assert!(server.0.tasks.is_empty(), "the connection has ended");
}
