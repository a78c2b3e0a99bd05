//! Logins that hold no longer, from the moment at which they were verified.

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
async fn exactly_the_sessions_of_a_removed_user_end() {
    let server = TestServer::of(Config::default(), &format!("{ADMIN}\n{JANE}"));
    let mut jane = jane(&server).await;
    let mut first = server.session().await;
    let mut second = server.session().await;
    let mut nobody = server.connect();
    nobody.upgrade().await;
    let start = Instant::now();
    assert_eq!(server.reload(JANE), 2);
    for peer in [&mut first, &mut second] {
        let expected = (3000, "login revoked: the user was removed".to_owned());
        assert_eq!(peer.close().await, expected);
    }
    assert_eq!(start.elapsed().as_secs(), 0);
    jane.send(frame::text("hello")).await;
    assert_eq!(jane.text().await, "your submit context: hello");
    nobody.send(frame::text("jane:123456")).await;
    assert_eq!(nobody.text().await, CONGRATULATION);
}

#[tokio::test(start_paused = true)]
async fn a_session_is_told_why_it_ends() {
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
async fn a_session_that_waits_for_a_peer_which_does_not_read_ends() {
    let server = TestServer::new();
    let mut peer = server.connect_through(1024);
    peer.log_in().await;
    peer.send(frame::binary(&vec![0; 64 * 1024])).await;
    sleep(Duration::from_millis(1)).await;
    assert_eq!(server.reload(JANE), 1);
    assert_eq!(peer.close().await.0, 3000);
}

#[tokio::test(start_paused = true)]
async fn a_revoked_peer_that_never_reads_is_cut_off_at_the_close_deadline() {
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

/// The peer reads so slowly that the server can do no more than it has forced it to, and the pipe
/// has room for one byte: what was verified is not entered yet.
#[tokio::test(start_paused = true)]
async fn a_login_that_is_revoked_before_its_peer_is_welcomed_begins_no_session() {
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
async fn a_handshake_that_is_revoked_before_its_answer_is_read_begins_no_session() {
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
async fn whoever_logs_in_after_a_reload_does_so_by_the_new_accounts() {
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
async fn a_login_that_waited_for_a_worker_is_checked_by_the_accounts_of_the_moment() {
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
async fn the_sessions_of_an_account_end_when_its_time_is_over() {
    let limited = format!("{ADMIN}\nexpires = 2100-01-01T00:00:00Z\n{JANE}");
    let end = SystemTime::UNIX_EPOCH + seconds(4_102_444_800);
    for (looked_at, now) in [
        (end - seconds(1), end),
        (end - seconds(1), end + seconds(100)),
        // The clock was set back, and has passed the end again before anybody looked.
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
        server.0.end_expired_between(looked_at, now);
        let expected = (3000, "login revoked: the account has expired".to_owned());
        assert_eq!(peer.close().await, expected);
        jane.send(frame::text("hello")).await;
        assert_eq!(jane.text().await, "your submit context: hello");
    }
}
