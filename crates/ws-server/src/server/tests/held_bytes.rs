//! Bytes that a peer makes the server hold in places where the budget could miss them.

use tokio::{io::AsyncReadExt as _, task::yield_now};

use crate::{
    peer::Peer,
    registry::{EvictionCause, HeldBytes, Registration},
    server::tests::{
        buffers::{
            BUFFERED, KIB, assert_evicted, assert_served, evictions, served, stalled, with_budget,
        },
        harness::*,
        routes::{AS_ADMIN, AS_JANE, ROUTES, TWO, accounts, ask, config, post, session},
    },
};

/// Returns a binary message of this length in fragments of 4 KiB.
fn fragments(kibibytes: usize) -> Vec<u8> {
    let count = kibibytes / 4;
    let mut message = Vec::new();
    for index in 0..count {
        let first = if index == 0 { 0x02 } else { 0x00 };
        let fin = if index == count - 1 { 0x80 } else { 0x00 };
        let mut fragment = frame::binary(&vec![7; 4 * KIB]);
        fragment[0] = first | fin;
        message.extend(fragment);
    }
    message
}

/// Logs in through pipes of this capacity and has the server fill one of them. All of it is written,
/// and the buffers are released.
async fn with_full_pipe(server: &TestServer, kibibytes: usize) -> RawPeer<DuplexStream> {
    let mut peer = server.connect_through(kibibytes * KIB);
    peer.send(handshake_with(AS_ADMIN.trim_end())).await;
    assert!(peer.head().await.starts_with("HTTP/1.1 101 "));
    // With the header of 4 or 10 bytes, the echo is as long as the pipe.
    let length = kibibytes * KIB;
    let header = if length > 0xFFFF { 10 } else { 4 };
    peer.send(frame::binary(&vec![7; length - header])).await;
    sleep(seconds(9)).await;
    assert_eq!(server.metric(BUFFERED), 0);
    peer
}

/// Former fault: a message of many fragments counted as one fragment while the echo waited to send it.
#[tokio::test(start_paused = true)]
async fn fragmented_message_counts_until_it_is_sent() {
    let server = with_budget("8MiB");
    let mut peer = with_full_pipe(&server, 512).await;
    // The pipe takes no answer, so the long message waits behind that to the short one.
    let messages = [frame::text("short"), fragments(400)].concat();
    peer.send(messages).await;
    served().await;
    let held = server.metric(BUFFERED);
    assert!(held >= 400 * 1024, "{held}");
}

/// Former fault: a connection that was asked for its bytes lost a Pong that the peer had not read yet.
#[tokio::test(start_paused = true)]
async fn unsent_pong_survives_release_of_buffers() {
    let server = with_budget("1MiB");
    let mut peer = server.connect();
    peer.send(handshake_with(AS_ADMIN.trim_end())).await;
    assert!(peer.head().await.starts_with("HTTP/1.1 101 "));
    // The echo fills the pipe, and the buffers are not released yet.
    let length = 64 * KIB - 4;
    peer.send(frame::binary(&vec![7; length])).await;
    served().await;
    peer.send(frame::ping(b"one")).await;
    served().await;
    let _other = stalled(&server, 600).await;
    assert_eq!(peer.frame().await.payload.len(), length);
    let next = peer.frame().await;
    assert_eq!((next.first, next.payload.as_slice()), (0x8A, &b"one"[..]));
}

/// Former fault: a peer that held little and took longer between two steps went before peers that held
/// much more.
#[tokio::test(start_paused = true)]
async fn small_holding_outlasts_large_if_none_is_stalled() {
    let server = with_budget("1MiB");
    let mut small = stalled(&server, 70).await;
    sleep(seconds(2)).await;
    let large = stalled(&server, 400).await;
    sleep(seconds(1)).await;
    let mut newer = stalled(&server, 200).await;
    assert_evicted(large).await;
    assert_eq!(evictions(&server, "slow"), 1);
    assert_served(&mut small, 70).await;
    assert_served(&mut newer, 200).await;
}

/// Returns a server with a budget of 2 MiB and a room with short queues. A member that reads nothing
/// has a full one, so that publishers wait.
async fn full_room() -> (TestServer, DuplexStream) {
    let source = format!(
        "[limits]\nmax_buffered_bytes = \"2MiB\"\n{ROUTES}\
         [[route]]\npath = \"/narrow\"\nservice = \"room\"\nmax_queued_bytes = \"100KiB\"\n"
    );
    let server = TestServer(Arc::new(ServerState::new(config(&source), accounts(TWO))));
    let member = session(&server, "/narrow", AS_ADMIN).await;
    // Two are written, one waits for them, and three are in the queue.
    for _ in 0..6 {
        let text = "x".repeat(40 * KIB);
        let answer = ask(&server, &post("/narrow", AS_JANE, &text)).await;
        assert!(answer.starts_with("HTTP/1.1 204 "), "{answer}");
    }
    (server, member.into_inner())
}

/// Has the member make progress, so that the publisher is the one without it for longest. Then the
/// budget is exceeded.
async fn exceed(server: &TestServer, member: &mut DuplexStream) -> RawPeer<DuplexStream> {
    sleep(Duration::from_millis(400)).await;
    let mut piece = vec![0; 20 * KIB];
    member.read_exact(&mut piece).await.unwrap();
    served().await;
    stalled(server, 150).await
}

/// Former fault: the body of a `POST` was held while its text waited for members, whatever the budget
/// said.
#[tokio::test(start_paused = true)]
async fn waiting_post_gives_its_bytes_back() {
    let (server, mut member) = full_room().await;
    let mut publisher = server.connect();
    let text = "y".repeat(850 * KIB);
    publisher.send(post("/narrow", AS_JANE, &text)).await;
    let sent_at = Instant::now();
    let _other = exceed(&server, &mut member).await;
    let answer = publisher.head().await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(sent_at.elapsed() < Duration::from_millis(500));
    assert_eq!(evictions(&server, "slow"), 1);
}

/// Former fault: a member that had left was held until its last text was published. All input paused
/// meanwhile, and the workers were busy with waiting.
#[tokio::test(start_paused = true)]
async fn leaving_publisher_is_dropped_above_hard_limit() {
    let (server, mut member) = full_room().await;
    let mut publisher = session(&server, "/narrow", AS_JANE).await;
    publisher.send(frame::text(&"y".repeat(850 * KIB))).await;
    publisher.send(frame::close(1000, "")).await;
    let _first = exceed(&server, &mut member).await;
    let _second = stalled(&server, 270).await;
    assert_eq!(evictions(&server, "closing"), 1);
    assert!(!server.0.registry.budget().must_wait());
}

/// Registers a connection without a task.
fn register(server: &TestServer) -> Registration {
    let registry = &server.0.registry;
    registry.register(registry.next_id(), Peer::Forwarded([192, 0, 2, 1].into()))
}

/// A stalled connection goes first, even if one with progress has held more for longer.
#[tokio::test(start_paused = true)]
async fn small_stalled_goes_before_large_with_progress() {
    let server = with_budget("1MiB");
    let mut large = stalled(&server, 400).await.into_inner();
    let small = register(&server);
    let held = HeldBytes {
        own: 20 * KIB,
        shared: 0,
    };
    small.report(held, 0);
    sleep(seconds(5)).await;
    // Less than a step is no progress.
    small.report(held, 1000);
    sleep(Duration::from_millis(1500)).await;
    let mut piece = vec![0; 20 * KIB];
    large.read_exact(&mut piece).await.unwrap();
    sleep(Duration::from_millis(500)).await;
    let _newer = stalled(&server, 200).await;
    let cause = small.entry().holding().demanded();
    assert_eq!(cause, Some(EvictionCause::Stalled));
}

/// While connections are dropped, no input is read, and afterwards it is.
#[tokio::test(start_paused = true)]
async fn input_waits_until_dropped_bytes_are_freed() {
    let server = with_budget("1MiB");
    let registry = &server.0.registry;
    let mut peer = session(&server, "/", AS_ADMIN).await;
    let holding = |own| {
        let registration = register(&server);
        registration.report(HeldBytes { own, shared: 0 }, 0);
        registration.relieve();
        registration
    };
    let dropped = holding(900 * KIB);
    sleep(seconds(7)).await;
    let others = [holding(200 * KIB), holding(500 * KIB)];
    assert!(dropped.entry().holding().must_drop());
    assert!(registry.budget().must_wait());
    peer.send(frame::text("hello")).await;
    for _ in 0..100 {
        yield_now().await;
    }
    let counts = |server: &TestServer| server.metric("ws_server_messages_total{direction=\"in\"}");
    assert_eq!(counts(&server), 0);
    drop(dropped);
    assert!(!registry.budget().must_wait());
    assert_eq!(peer.text().await, ">hello");
    // Nothing of it is left: more bytes than the hard limit do not pause the input.
    let more = register(&server);
    let own = 1000 * KIB;
    more.report(HeldBytes { own, shared: 0 }, 0);
    assert!(!registry.budget().must_wait());
    drop((more, others));
    assert_eq!(server.metric(BUFFERED), 0);
}

/// No session is needed to find the connection that gives its bytes back.
#[tokio::test(start_paused = true)]
async fn second_post_ends_stalled_first() {
    let server = with_budget("1MiB");
    let begin = format!(
        "POST /room/a HTTP/1.1\r\nHost: localhost\r\n{AS_JANE}Content-Length: 600000\r\n\r\nhello"
    );
    let mut first = server.connect();
    first.send(&begin).await;
    sleep(seconds(7)).await;
    let mut second = server.connect();
    second.send(&begin).await;
    let answer = first.head().await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
}

/// The close may take until its deadline, and holds no queue meanwhile.
#[tokio::test(start_paused = true)]
async fn closing_member_holds_no_queue() {
    let (server, _member) = full_room().await;
    assert!(server.metric(BUFFERED) >= 160 * 1024);
    let (id, _) = server.handle().sessions().pop().unwrap();
    server.handle().kick(id);
    served().await;
    // Two texts that were taken out of the queue.
    assert!(server.metric(BUFFERED) <= 80 * 1024 + 1024);
}
