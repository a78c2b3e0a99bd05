//! Timeouts: keepalive, idle and write deadlines.

use crate::server::tests::harness::*;

#[tokio::test(start_paused = true)]
async fn silent_peer_pinged_then_closed_with_1011() {
    let server = TestServer::new();
    let mut peer = server.session().await;
    let start = Instant::now();
    assert_eq!(peer.frame().await.first, 0x89);
    assert_eq!(start.elapsed().as_secs(), 20);
    let close = peer.frame().await;
    assert_eq!(close.first, 0x88);
    assert_eq!(close.close(), (1011, "keepalive timeout".to_owned()));
    assert_eq!(start.elapsed().as_secs(), 40);
}

#[tokio::test(start_paused = true)]
async fn peer_that_answers_pings_stays_connected() {
    let server = TestServer::new();
    let mut peer = server.session().await;
    for _ in 0..10 {
        let ping = peer.frame().await;
        assert_eq!(ping.first, 0x89);
        peer.send(frame::pong(&ping.payload)).await;
    }
    peer.send(frame::text("hello")).await;
    assert_eq!(peer.text().await, "your submit context: hello");
}

#[tokio::test(start_paused = true)]
async fn idle_session_closed_with_1001() {
    let mut config = Config::default();
    config.limits.idle_timeout = Some(seconds(30));
    let server = TestServer::with(config);
    let mut peer = server.session().await;
    let ping = peer.frame().await;
    peer.send(frame::pong(&ping.payload)).await;
    assert_eq!(peer.close().await, (1001, "idle".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn stalled_reader_ends_at_write_deadline() {
    let server = TestServer::new();
    let mut peer = server.connect_through(1024);
    peer.log_in().await;
    let start = Instant::now();
    // The echo fills all buffers, and the peer does not read.
    let message = frame::binary(&vec![0; 1 << 20]);
    peer.try_send(message.repeat(3)).await;
    peer.send(b"").await;
    server.0.tasks.close();
    server.0.tasks.wait().await;
    let took = start.elapsed().as_secs();
    // The write deadline, then the close deadline.
    assert!((30..=35).contains(&took), "{took} s");
}

/// Each ping that the server read would queue a Pong, until a Close frame no longer fits.
#[tokio::test(start_paused = true)]
async fn server_stops_reading_from_stalled_reader() {
    let mut config = Config::default();
    config.limits.max_control_frames_per_second = None;
    let server = TestServer::with(config);
    let mut peer = server.connect_through(1024);
    peer.log_in().await;
    // The echo waits to be written, and the service for the next message.
    let message = frame::binary(&[7; 4096]);
    let pings = frame::ping(&[0; 125]).repeat(2000);
    let mut sent = 0;
    let all = [message, pings].concat();
    for piece in all.chunks(512) {
        if timeout(Duration::from_millis(10), peer.send(piece))
            .await
            .is_err()
        {
            break;
        }
        sent += piece.len();
    }
    assert!(sent < all.len(), "everything was read");
    server
        .0
        .registry
        .end_all(CloseReason::ShuttingDown { back_in: 2 });
    assert!(
        peer.frame().await.payload == [7; 4096],
        "the answer is whole"
    );
    let (code, reason) = peer.close().await;
    assert_eq!(
        (code, reason.as_str()),
        (1001, "server is shutting down, back in 2 s")
    );
}

#[tokio::test(start_paused = true)]
async fn slow_long_message_counts_as_life() {
    let server = TestServer::new();
    let mut peer = server.session().await;
    let message = frame::binary(&[7; 1200]);
    for piece in message.chunks(10) {
        sleep(seconds(1)).await;
        peer.send(piece).await;
    }
    assert_eq!(peer.frame().await.payload, [7; 1200]);
}

#[tokio::test(start_paused = true)]
async fn slow_reader_with_progress_stays_connected() {
    let server = TestServer::new();
    let mut peer = server.connect_through(1024);
    peer.log_in().await;
    peer.send(frame::binary(&vec![7; 64 * 1024])).await;
    peer.send(frame::close(1000, "")).await;
    let mut io = peer.into_inner();
    let mut received = Vec::new();
    let mut piece = [0; 1024];
    loop {
        sleep(seconds(9)).await;
        let read = tokio::io::AsyncReadExt::read(&mut io, &mut piece)
            .await
            .unwrap();
        if read == 0 {
            break;
        }
        received.extend_from_slice(&piece[..read]);
    }
    let (echo, len) = frame::Frame::parse(&received).unwrap();
    assert_eq!(echo.payload.len(), 64 * 1024);
    let (close, _) = frame::Frame::parse(&received[len..]).unwrap();
    assert_eq!(close.close().0, 1000);
}

#[tokio::test(start_paused = true)]
async fn partial_message_survives_buffer_release() {
    let server = TestServer::new();
    let mut peer = server.session().await;
    for cut in [1, 3, 20] {
        peer.send(frame::binary(&[7; 9000])).await;
        assert_eq!(peer.frame().await.payload, [7; 9000]);
        let message = frame::text("in two pieces");
        let cut = cut.min(message.len() - 1);
        peer.send(&message[..cut]).await;
        sleep(seconds(15)).await;
        peer.send(&message[cut..]).await;
        assert_eq!(peer.text().await, "your submit context: in two pieces");
        // Idle between two messages: the buffers are released.
        sleep(seconds(15)).await;
        let start = Instant::now();
        peer.send(frame::text("again")).await;
        assert_eq!(peer.text().await, "your submit context: again");
        assert_eq!(start.elapsed(), Duration::ZERO, "the session woke at once");
    }
}
