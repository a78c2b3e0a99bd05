//! The login by messages.

use crate::server::tests::harness::*;

#[tokio::test(start_paused = true)]
async fn failed_then_successful_login_then_echo() {
    let server = TestServer::new();
    let mut peer = server.connect();
    peer.upgrade().await;
    peer.send(frame::text("admin:1")).await;
    assert_eq!(peer.text().await, SORRY);
    peer.send(frame::text(CREDENTIALS)).await;
    assert_eq!(peer.text().await, CONGRATULATION);
    peer.send(frame::text("hello")).await;
    assert_eq!(peer.text().await, "your submit context: hello");
}

#[tokio::test(start_paused = true)]
async fn dialogue_works_byte_by_byte() {
    let server = TestServer::new();
    let mut peer = server.connect_through(1);
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
}

#[tokio::test(start_paused = true)]
async fn pipelined_input_answered_in_order() {
    let server = TestServer::new();
    let mut peer = server.connect();
    let mut all = HANDSHAKE.as_bytes().to_vec();
    all.extend(frame::text("admin:1"));
    all.extend(frame::text(CREDENTIALS));
    for index in 0..300 {
        all.extend(frame::text(&format!("message {index}")));
    }
    peer.send(&all).await;
    peer.head().await;
    assert_eq!(peer.text().await, SORRY);
    assert_eq!(peer.text().await, CONGRATULATION);
    for index in 0..300 {
        assert_eq!(
            peer.text().await,
            format!("your submit context: message {index}")
        );
    }
}

#[tokio::test(start_paused = true)]
async fn sixth_failed_attempt_closes_connection() {
    let server = TestServer::new();
    let mut peer = server.connect();
    peer.upgrade().await;
    let start = Instant::now();
    for _ in 0..6 {
        peer.send(frame::text("admin:wrong")).await;
        assert_eq!(peer.text().await, SORRY);
    }
    let took = start.elapsed();
    // Four of the replies are delayed by 250 to 350 ms each.
    assert!((1000..=1405).contains(&took.as_millis()), "{took:?}");
    assert_eq!(
        peer.close().await,
        (3000, "too many wrong logins".to_owned())
    );
    peer.end().await;
}

#[tokio::test(start_paused = true)]
async fn login_deadline_not_extended_by_activity() {
    let server = TestServer::new();
    let mut peer = server.connect();
    peer.upgrade().await;
    let start = Instant::now();
    for _ in 0..29 {
        sleep(seconds(1)).await;
        peer.send(frame::ping(b"still here")).await;
        assert_eq!(peer.frame().await.first, 0x8A);
    }
    peer.send(frame::text("admin:1")).await;
    assert_eq!(peer.text().await, SORRY);
    assert_eq!(peer.close().await, (3008, "login timeout".to_owned()));
    assert_eq!(start.elapsed().as_secs(), 30);
}

/// Former fault: the deadline passed while the congratulation was sent, and the session started all the same.
#[tokio::test(start_paused = true)]
async fn congratulation_read_too_late_closes() {
    let server = TestServer::new();
    let mut peer = server.connect_through(8);
    peer.upgrade().await;
    peer.send(frame::text(CREDENTIALS)).await;
    sleep(seconds(31)).await;
    assert_eq!(peer.text().await, CONGRATULATION);
    assert_eq!(peer.close().await, (3008, "login timeout".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn no_ping_before_login() {
    let mut config = Config::default();
    config.limits.ping_interval = Some(seconds(1));
    let server = TestServer::with(config);
    let mut peer = server.connect();
    peer.upgrade().await;
    assert_eq!(peer.frame().await.close().0, 3008);
}

#[tokio::test(start_paused = true)]
async fn long_frame_before_login_refused_at_header() {
    let server = TestServer::new();
    let mut peer = server.connect();
    peer.upgrade().await;
    peer.send(frame::header(0x82, 1 << 20)).await;
    assert_eq!(
        peer.close().await,
        (1009, "too many bytes before the login".to_owned())
    );
}

#[tokio::test(start_paused = true)]
async fn total_bytes_before_login_limited() {
    let server = TestServer::new();
    let mut peer = server.connect();
    peer.upgrade().await;
    peer.try_send(frame::ping(&[0; 125]).repeat(200)).await;
    assert_eq!(
        peer.close().await,
        (1009, "too many bytes before the login".to_owned())
    );
}

#[tokio::test(start_paused = true)]
async fn message_over_1_kib_is_failed_attempt() {
    let server = TestServer::new();
    let mut peer = server.connect();
    peer.upgrade().await;
    peer.send(frame::text(&format!("admin:{}", "x".repeat(1024))))
        .await;
    assert_eq!(peer.text().await, SORRY);
    peer.send(frame::binary(CREDENTIALS.as_bytes())).await;
    assert_eq!(peer.text().await, SORRY);
}

#[tokio::test(start_paused = true)]
async fn close_before_login_answered() {
    let server = TestServer::new();
    let mut peer = server.connect();
    peer.upgrade().await;
    peer.send(frame::close(1000, "user exit")).await;
    assert_eq!(peer.close().await, (1000, "user exit".to_owned()));
    peer.end().await;
}
