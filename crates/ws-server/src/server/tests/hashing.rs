//! Logins that wait for a password to be hashed.

use crate::server::tests::harness::*;

/// `123456` at a cost that is for tests only.
pub(super) const HASHED: &str = "[[user]]\nname = \"admin\"\npassword_hash = \
    \"$argon2id$v=19$m=16,t=2,p=1$MDEyMzQ1Njc4OWFiY2RlZg$9AYZPrrEe5pf9K/MKawr04vd4JJNHatj3Dk4Fv9TC7w\"";

/// One worker, and one login that may wait for it.
pub(super) fn one_worker() -> Config {
    Config {
        hash_workers: Some(NonZeroUsize::MIN),
        max_queued_logins: NonZeroUsize::MIN,
        ..Config::default()
    }
}

fn server() -> TestServer {
    TestServer::of(one_worker(), HASHED)
}

/// A peer that has sent its login, which waits.
async fn waiting(server: &TestServer) -> RawPeer<DuplexStream> {
    let mut peer = server.connect();
    peer.upgrade().await;
    peer.send(frame::text(CREDENTIALS)).await;
    peer
}

#[tokio::test(start_paused = true)]
async fn a_hashed_password_logs_in() {
    let server = server();
    let mut peer = server.session().await;
    peer.send(frame::text("hello")).await;
    assert_eq!(peer.text().await, "your submit context: hello");
}

#[tokio::test(start_paused = true)]
async fn the_deadline_of_the_login_is_for_the_hashing_too() {
    let server = server();
    let _busy = server.0.verifier.acquire_worker().await;
    let mut peer = waiting(&server).await;
    let start = Instant::now();
    assert_eq!(peer.close().await, (3008, "login timeout".to_owned()));
    assert_eq!(start.elapsed().as_secs(), 30);
}

#[tokio::test(start_paused = true)]
async fn a_login_that_waits_to_be_hashed_does_not_hold_up_the_end() {
    let server = server();
    let _busy = server.0.verifier.acquire_worker().await;
    let mut peer = waiting(&server).await;
    // It is in the queue before the shut-down begins.
    sleep(Duration::from_millis(1)).await;
    let start = Instant::now();
    let end = async {
        assert_eq!(peer.close().await.0, 1001);
        peer.send(frame::close(1001, "")).await;
        peer.end().await;
    };
    tokio::join!(server.0.end_all(), end);
    assert!(server.0.tasks.is_empty(), "it has ended");
    assert_eq!(start.elapsed().as_secs(), 0);
}

#[tokio::test(start_paused = true)]
async fn whoever_finds_the_queue_full_is_told_to_come_later() {
    let server = server();
    let busy = server.0.verifier.acquire_worker().await;
    let mut first = waiting(&server).await;
    sleep(Duration::from_millis(1)).await;
    let mut second = waiting(&server).await;
    let expected = (1013, "too many logins at once".to_owned());
    assert_eq!(second.close().await, expected);
    drop(busy);
    assert_eq!(first.text().await, CONGRATULATION);
}
