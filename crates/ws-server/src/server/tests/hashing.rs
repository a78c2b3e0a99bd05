//! Logins in the hashing queue.

use std::pin::pin;

use futures::FutureExt as _;

use crate::server::tests::harness::*;

/// An account with a hash of `123456`, at a cost for tests only.
pub(super) const HASHED: &str = "[[user]]\nname = \"admin\"\npassword_hash = \
    \"$argon2id$v=19$m=16,t=2,p=1$MDEyMzQ1Njc4OWFiY2RlZg$9AYZPrrEe5pf9K/MKawr04vd4JJNHatj3Dk4Fv9TC7w\"";

/// Returns a configuration with one worker and a queue of one login.
pub(super) fn one_worker() -> Config {
    let mut config = Config::default();
    config.login.hash_workers = Some(NonZeroUsize::MIN);
    config.login.max_queued_logins = NonZeroUsize::MIN;
    config
}

fn server() -> TestServer {
    TestServer::of(one_worker(), HASHED)
}

/// Connects and sends credentials.
async fn queued_login(server: &TestServer) -> RawPeer<DuplexStream> {
    let mut peer = server.connect();
    peer.upgrade().await;
    peer.send(frame::text(CREDENTIALS)).await;
    peer
}

#[tokio::test(start_paused = true)]
async fn hashed_password_logs_in() {
    let server = server();
    let mut peer = server.session().await;
    peer.send(frame::text("hello")).await;
    assert_eq!(peer.text().await, "your submit context: hello");
}

#[tokio::test(start_paused = true)]
async fn login_deadline_includes_hashing() {
    let server = server();
    let _busy = server.0.verifier.acquire_worker().await;
    let mut peer = queued_login(&server).await;
    let start = Instant::now();
    assert_eq!(peer.close().await, (3008, "login timeout".to_owned()));
    assert_eq!(start.elapsed().as_secs(), 30);
}

#[tokio::test(start_paused = true)]
async fn queued_login_does_not_delay_drain() {
    let server = server();
    let _busy = server.0.verifier.acquire_worker().await;
    let mut peer = queued_login(&server).await;
    // The login is in the queue before the drain starts.
    sleep(Duration::from_millis(1)).await;
    let start = Instant::now();
    let end = async {
        assert_eq!(peer.close().await.0, 1001);
        peer.send(frame::close(1001, "")).await;
        peer.end().await;
    };
    tokio::join!(server.0.end_all(), end);
    assert!(server.0.tasks.is_empty(), "the connection has ended");
    assert_eq!(start.elapsed().as_secs(), 0);
}

#[tokio::test(start_paused = true)]
async fn login_at_full_queue_closed_with_1013() {
    let server = server();
    let busy = server.0.verifier.acquire_worker().await;
    let mut first = queued_login(&server).await;
    sleep(Duration::from_millis(1)).await;
    let mut second = queued_login(&server).await;
    let expected = (1013, "too many logins at once, back in 1 s".to_owned());
    assert_eq!(second.close().await, expected);
    drop(busy);
    assert_eq!(first.text().await, CONGRATULATION);
}

/// One user's flood of logins from one address makes another one wait for one login at most.
#[tokio::test(start_paused = true)]
async fn login_of_other_address_waits_for_one_turn() {
    let mut config = one_worker();
    config.login.max_queued_logins = NonZeroUsize::new(64).unwrap();
    let server = TestServer::of(config, HASHED);
    let busy = server.0.verifier.acquire_worker().await;
    let mut flood = Vec::new();
    for _ in 0..64 {
        let mut peer = server.connect_from([192, 0, 2, 7]);
        peer.upgrade().await;
        peer.send(frame::text(CREDENTIALS)).await;
        flood.push(peer);
    }
    sleep(Duration::from_millis(1)).await;
    let mut other = server.connect_from([192, 0, 2, 8]);
    other.upgrade().await;
    other.send(frame::text(CREDENTIALS)).await;
    sleep(Duration::from_millis(1)).await;
    // The test itself has the turn after `other`, and keeps it.
    let mut stop = pin!(server.0.verifier.acquire_worker());
    assert!(stop.as_mut().now_or_never().is_none());
    drop(busy);
    let (text, _stopped) = tokio::join!(other.text(), stop);
    assert_eq!(text, CONGRATULATION);
    let waiting = server.metric("ws_server_hashing_queue");
    assert!(waiting >= 60, "{waiting}");
}
