//! Logins that come with the handshake.

use crate::server::tests::{harness::*, hashing};

#[tokio::test(start_paused = true)]
async fn the_101_is_the_login_and_what_came_behind_the_head_is_answered() {
    let server = TestServer::new();
    let mut peer = server.connect();
    let mut all = basic_handshake(CREDENTIALS).into_bytes();
    all.extend(frame::text("hello"));
    peer.send(all).await;
    assert!(peer.head().await.starts_with("HTTP/1.1 101 "));
    assert_eq!(peer.text().await, "your submit context: hello");
}

#[tokio::test(start_paused = true)]
async fn whoever_is_logged_in_by_it_may_send_long_messages_and_holds_no_place_of_others() {
    let mut config = Config::default();
    config.limits.caps.unauthenticated = 1;
    let server = TestServer::with(config);
    let mut peer = server.connect();
    peer.send(basic_handshake(CREDENTIALS)).await;
    assert!(peer.head().await.starts_with("HTTP/1.1 101 "));
    peer.send(frame::text(&"x".repeat(100_000))).await;
    assert_eq!(peer.text().await.len(), 100_021);
    server.session().await;
}

#[tokio::test(start_paused = true)]
async fn wrong_credentials_are_refused_with_a_challenge() {
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
async fn the_deadline_of_the_handshake_is_for_the_hashing_too() {
    let server = TestServer::of(hashing::one_worker(), hashing::HASHED);
    let _busy = server.0.verifier.acquire_worker().await;
    let mut peer = server.connect();
    let start = Instant::now();
    peer.send(basic_handshake(CREDENTIALS)).await;
    peer.end().await;
    assert_eq!(start.elapsed().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_waits_to_be_hashed_when_the_server_shuts_down_gets_503() {
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
    assert!(server.0.tasks.is_empty(), "it has ended");
}
