//! The closing handshake, the drain, and failures of services.

use std::collections::HashSet;

use futures::future::join_all;

use crate::server::tests::harness::*;

#[tokio::test(start_paused = true)]
async fn close_answered_once_after_all_replies() {
    let server = TestServer::new();
    let mut peer = server.session().await;
    let mut all = frame::text("one");
    all.extend(frame::text("two"));
    all.extend(frame::close(1000, "user exit"));
    all.extend(frame::text("after the close"));
    peer.send(&all).await;
    assert_eq!(peer.text().await, "your submit context: one");
    assert_eq!(peer.text().await, "your submit context: two");
    assert_eq!(peer.close().await, (1000, "user exit".to_owned()));
    peer.end().await;
}

#[tokio::test(start_paused = true)]
async fn close_without_code_answered_without_code() {
    let server = TestServer::new();
    let mut peer = server.session().await;
    peer.send(frame::masked(0x88, b"")).await;
    assert_eq!(peer.frame().await.payload, b"");
    peer.end().await;
}

#[tokio::test(start_paused = true)]
async fn flood_after_close_is_cut_off() {
    let server = TestServer::new();
    let start = Instant::now();
    let mut peer = server.session().await;
    peer.send(frame::masked(0x83, b"")).await;
    assert_eq!(peer.close().await.0, 1002);
    let message = frame::binary(&vec![0; 1 << 20]);
    let (mut io, mut read) = (peer.into_inner(), 0);
    while tokio::io::AsyncWriteExt::write_all(&mut io, &message)
        .await
        .is_ok()
    {
        read += message.len();
        assert!(read < 32 << 20, "the server reads without limit");
    }
    assert_eq!(
        start.elapsed(),
        Duration::ZERO,
        "the server does not wait for the close deadline"
    );
}

#[tokio::test(start_paused = true)]
async fn drain_closes_all_connections_with_1001() {
    let server = TestServer::new();
    let mut session = server.session().await;
    let mut upgraded = server.connect();
    upgraded.upgrade().await;
    let mut delayed = server.connect();
    delayed.upgrade().await;
    for _ in 0..3 {
        delayed.send(frame::text("admin:wrong")).await;
    }
    assert_eq!(delayed.text().await, SORRY);
    assert_eq!(delayed.text().await, SORRY);
    let mut requesting = server.connect();
    requesting.send("GET / HTTP/1.1\r\n").await;
    // All input is processed before the drain starts.
    sleep(Duration::from_millis(1)).await;
    let start = Instant::now();
    let ends = async {
        for peer in [&mut session, &mut upgraded, &mut delayed] {
            assert_eq!(
                peer.close().await,
                (1001, "server is shutting down, back in 2 s".to_owned())
            );
            peer.send(frame::close(1001, "")).await;
            peer.end().await;
        }
        assert!(requesting.head().await.starts_with("HTTP/1.1 503 "));
        drop(requesting);
    };
    tokio::join!(server.0.end_all(), ends);
    assert!(server.0.tasks.is_empty(), "all have ended");
    assert!(start.elapsed() < seconds(1));
}

/// Closes all sessions of a server, each of which answers its Close frame. Returns the time of each
/// close, its code and its reason.
async fn drain(server: &TestServer, sessions: usize) -> Vec<(Duration, u16, String)> {
    let mut peers = Vec::new();
    for _ in 0..sessions {
        peers.push(server.session().await);
    }
    let start = Instant::now();
    let closes = join_all(peers.into_iter().map(async |mut peer| {
        let (code, reason) = peer.close().await;
        let at = start.elapsed();
        peer.send(frame::close(code, "")).await;
        peer.end().await;
        (at, code, reason)
    }));
    let ((), closes) = tokio::join!(server.0.end_all(), closes);
    assert!(server.0.tasks.is_empty(), "all have ended");
    closes
}

#[tokio::test(start_paused = true)]
async fn drain_spreads_closes_in_random_order() {
    let mut config = Config::default();
    config.limits.return_per_second = NonZeroUsize::new(10).unwrap();
    let server = TestServer::with(config);
    let closes = drain(&server, 40).await;
    let times: Vec<_> = closes.iter().map(|(at, ..)| at.as_millis()).collect();
    let mut ascending = times.clone();
    ascending.sort_unstable();
    assert_ne!(times, ascending, "the order is random");
    // One each 100 ms.
    for (turn, at) in ascending.iter().enumerate() {
        let due = 100 * turn as u128;
        assert!((due..due + 50).contains(at), "{ascending:?}");
    }
    let mut moments = HashSet::new();
    for (at, code, reason) in closes {
        assert_eq!(code, 1001);
        let (text, back_in) = reason.split_once(", back in ").unwrap();
        assert_eq!(text, "server is shutting down");
        let seconds: u64 = back_in.strip_suffix(" s").unwrap().parse().unwrap();
        // After the last close and a second for the restart, over four seconds.
        let back = at.as_secs_f64() + Duration::from_secs(seconds).as_secs_f64();
        assert!((5.0..10.1).contains(&back), "{at:?} {seconds}");
        moments.insert(seconds);
    }
    assert!(moments.len() > 3, "{moments:?}");
}

#[tokio::test(start_paused = true)]
async fn drain_closes_within_half_its_deadline() {
    let mut config = Config::default();
    config.limits.return_per_second = NonZeroUsize::MIN;
    config.limits.drain_deadline = seconds(4);
    let server = TestServer::with(config);
    let closes = drain(&server, 20).await;
    assert_eq!(closes.len(), 20);
    assert!(closes.iter().all(|(at, ..)| *at < seconds(2)), "{closes:?}");
}

#[tokio::test(start_paused = true)]
async fn drain_for_restart_closes_with_1012() {
    let server = TestServer::new();
    let mut upgraded = server.connect();
    upgraded.upgrade().await;
    server.0.announce_restart();
    let unauthenticated = async {
        let expected = (1012, "server is restarting, back in 2 s".to_owned());
        assert_eq!(upgraded.close().await, expected);
        upgraded.send(frame::close(1012, "")).await;
        upgraded.end().await;
    };
    let (closes, ()) = tokio::join!(drain(&server, 1), unauthenticated);
    let (_, code, reason) = &closes[0];
    assert_eq!(
        (*code, &**reason),
        (1012, "server is restarting, back in 2 s")
    );
}

#[tokio::test(start_paused = true)]
async fn unanswered_close_ends_at_close_deadline() {
    let server = TestServer::new();
    let mut peer = server.session().await;
    let start = Instant::now();
    server.0.end_all().await;
    assert_eq!(start.elapsed().as_secs(), 5);
    assert_eq!(peer.close().await.0, 1001);
    peer.end().await;
}

#[tokio::test(start_paused = true)]
async fn closed_peer_not_reading_does_not_block_drain() {
    let server = TestServer::new();
    let mut peer = server.connect_through(1024);
    peer.log_in().await;
    peer.send(frame::binary(&vec![0; 64 * 1024])).await;
    peer.send(frame::close(1000, "")).await;
    sleep(Duration::from_millis(1)).await;
    let start = Instant::now();
    server.0.end_all().await;
    assert_eq!(start.elapsed().as_secs(), 5, "the close deadline");
    assert!(server.0.tasks.is_empty());
}

/// After the server's Close frame, input is read and discarded. Unread input would cause a reset,
/// which could destroy the Close frame.
#[tokio::test(start_paused = true)]
async fn input_after_close_read_and_discarded() {
    let server = TestServer::new();
    let mut peer = server.session().await;
    peer.send(frame::masked(0x83, b"a reserved opcode")).await;
    assert_eq!(peer.close().await.0, 1002);
    // More than the capacity of the pipe, so that it blocks unless the server reads.
    let more = timeout(seconds(1), peer.send(frame::binary(&vec![0; 1 << 20]))).await;
    assert!(more.is_ok(), "the server did not read");
    peer.send(frame::close(1002, "")).await;
    peer.end().await;
}

#[tokio::test]
async fn service_panic_closes_session_with_1011() {
    let id = TestServer::new().0.registry.next_id();
    let ended = crate::server::connection::until_ended(async { panic!("a bug") }, id).await;
    assert_eq!(ended.code().map(|code| code.0), Some(1011));
}
