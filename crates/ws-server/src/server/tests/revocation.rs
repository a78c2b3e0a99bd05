//! Revocation of logins, from the moment of their verification.

use std::time::SystemTime;

use crate::server::tests::{harness::*, hashing};

const JANE: &str = "[[user]]\nname = \"jane\"\npassword = \"123456\"\n";

const CHANGED: &str = "[[user]]\nname = \"admin\"\npassword = \"654321\"";

const EXPIRED: &str =
    "[[user]]\nname = \"admin\"\npassword = \"123456\"\nexpires = 1970-01-02T00:00:00Z";

async fn jane(server: &TestServer) -> RawPeer<DuplexStream> {
    let mut peer = server.connect();
    peer.send(basic_handshake("jane:123456")).await;
    assert!(peer.head().await.starts_with("HTTP/1.1 101 "));
    peer
}

#[tokio::test(start_paused = true)]
async fn only_sessions_of_removed_user_end() {
    let server = TestServer::of(Config::default(), &format!("{ADMIN}\n{JANE}"));
    let mut jane = jane(&server).await;
    let mut first = server.session().await;
    let mut second = server.session().await;
    let mut unauthenticated = server.connect();
    unauthenticated.upgrade().await;
    let start = Instant::now();
    assert_eq!(server.reload(JANE), 2);
    for peer in [&mut first, &mut second] {
        let expected = (3000, "login revoked: the user was removed".to_owned());
        assert_eq!(peer.close().await, expected);
    }
    assert_eq!(start.elapsed().as_secs(), 0);
    jane.send(frame::text("hello")).await;
    assert_eq!(jane.text().await, "your submit context: hello");
    unauthenticated.send(frame::text("jane:123456")).await;
    assert_eq!(unauthenticated.text().await, CONGRATULATION);
}

#[tokio::test(start_paused = true)]
async fn revoked_session_closed_with_reason() {
    for (accounts, reason) in [
        (CHANGED, "login revoked: the password was changed"),
        (EXPIRED, "login revoked: the account has expired"),
    ] {
        let server = TestServer::new();
        let mut peer = server.session().await;
        assert_eq!(server.reload(ADMIN), 0, "nothing has changed");
        assert_eq!(server.reload(accounts), 1);
        assert_eq!(peer.close().await, (3000, reason.to_owned()));
    }
}

#[tokio::test(start_paused = true)]
async fn revoked_session_of_stalled_reader_ends() {
    let server = TestServer::new();
    let mut peer = server.connect_through(1024);
    peer.log_in().await;
    peer.send(frame::binary(&vec![0; 64 * 1024])).await;
    sleep(Duration::from_millis(1)).await;
    assert_eq!(server.reload(JANE), 1);
    assert_eq!(peer.close().await.0, 3000);
}

#[tokio::test(start_paused = true)]
async fn revoked_stalled_reader_ends_at_close_deadline() {
    let server = TestServer::new();
    let mut peer = server.connect_through(1024);
    peer.log_in().await;
    peer.send(frame::binary(&vec![0; 64 * 1024])).await;
    sleep(Duration::from_millis(1)).await;
    assert_eq!(server.reload(JANE), 1);
    sleep(seconds(5)).await;
    tokio::task::yield_now().await;
    assert!(server.0.tasks.is_empty());
}

/// The pipe holds one byte, so the server waits between the verification and the admission.
#[tokio::test(start_paused = true)]
async fn reload_before_congratulation_prevents_session() {
    let server = TestServer::new();
    let mut peer = server.connect_through(1);
    peer.upgrade().await;
    peer.send(frame::text(CREDENTIALS)).await;
    sleep(Duration::from_millis(1)).await;
    assert_eq!(server.reload(JANE), 0);
    assert_eq!(peer.text().await, CONGRATULATION);
    let expected = (3000, "login revoked: the user was removed".to_owned());
    assert_eq!(peer.close().await, expected);
}

#[tokio::test(start_paused = true)]
async fn reload_before_101_sent_prevents_session() {
    let server = TestServer::new();
    let mut peer = server.connect_through(1);
    peer.send(basic_handshake(CREDENTIALS)).await;
    sleep(Duration::from_millis(1)).await;
    assert_eq!(server.reload(CHANGED), 0);
    assert!(peer.head().await.starts_with("HTTP/1.1 101 "));
    let expected = (3000, "login revoked: the password was changed".to_owned());
    assert_eq!(peer.close().await, expected);
}

#[tokio::test(start_paused = true)]
async fn login_after_reload_uses_new_accounts() {
    let server = TestServer::new();
    let mut peer = server.connect();
    peer.upgrade().await;
    assert_eq!(server.reload(CHANGED), 0);
    peer.send(frame::text(CREDENTIALS)).await;
    assert_eq!(peer.text().await, SORRY);
    peer.send(frame::text("admin:654321")).await;
    assert_eq!(peer.text().await, CONGRATULATION);
}

#[tokio::test(start_paused = true)]
async fn queued_login_uses_accounts_in_force() {
    let server = TestServer::of(hashing::one_worker(), hashing::HASHED);
    let busy = server.0.verifier.acquire_worker().await;
    let mut peer = server.connect();
    peer.upgrade().await;
    peer.send(frame::text("admin:654321")).await;
    sleep(Duration::from_millis(1)).await;
    server.reload(CHANGED);
    drop(busy);
    assert_eq!(peer.text().await, CONGRATULATION);
}

#[tokio::test(start_paused = true)]
async fn sessions_end_when_account_expires() {
    let limited = format!("{ADMIN}\nexpires = 2100-01-01T00:00:00Z\n{JANE}");
    let end = SystemTime::UNIX_EPOCH + seconds(4_102_444_800);
    for (checked_at, now) in [
        (end - seconds(1), end),
        (end - seconds(1), end + seconds(100)),
        // The clock was set back, and has passed the expiry time again before the check.
        (end + seconds(100), end + seconds(1)),
    ] {
        let server = TestServer::of(Config::default(), &limited);
        let mut peer = server.session().await;
        let mut jane = jane(&server).await;
        server
            .0
            .end_expired_between(end - seconds(2), end - seconds(1));
        peer.send(frame::text("hello")).await;
        assert_eq!(peer.text().await, "your submit context: hello");
        server.0.end_expired_between(checked_at, now);
        let expected = (3000, "login revoked: the account has expired".to_owned());
        assert_eq!(peer.close().await, expected);
        jane.send(frame::text("hello")).await;
        assert_eq!(jane.text().await, "your submit context: hello");
    }
}
