//! The budget of bytes that are held for all peers together.

use tokio::io::AsyncReadExt as _;

use crate::{
    access::Access,
    peer::Peer,
    registry::HeldBytes,
    server::tests::{
        harness::*,
        routes::{AS_ADMIN, AS_JANE, ROUTES, TWO, accounts, ask, config, post, session},
    },
};

pub(super) const KIB: usize = 1024;

pub(super) const BUFFERED: &str = "ws_server_buffered_bytes";

pub(super) const BUFFERS_FULL: (u16, &str) = (1013, "too many bytes buffered");

/// Returns a server with a budget of 1 MiB.
fn server() -> TestServer {
    with_budget("1MiB")
}

pub(super) fn with_budget(budget: &str) -> TestServer {
    let source = format!("[limits]\nmax_buffered_bytes = \"{budget}\"\n{ROUTES}");
    TestServer(Arc::new(ServerState::new(config(&source), accounts(TWO))))
}

pub(super) fn echo_of(kibibytes: usize) -> Vec<u8> {
    frame::binary(&vec![7; kibibytes * KIB])
}

/// Logs in and sends a binary message of this length, whose echo is not read.
pub(super) async fn stalled(server: &TestServer, kibibytes: usize) -> RawPeer<DuplexStream> {
    let mut peer = session(server, "/", AS_ADMIN).await;
    peer.send(echo_of(kibibytes)).await;
    served().await;
    peer
}

/// Lets all other tasks run until they wait.
pub(super) async fn served() {
    sleep(Duration::from_millis(1)).await;
}

/// Reads an echo and sends another message, which shows that the session goes on.
pub(super) async fn assert_served(peer: &mut RawPeer<DuplexStream>, kibibytes: usize) {
    assert_eq!(peer.frame().await.payload.len(), kibibytes * KIB);
    peer.send(frame::text("still here")).await;
    assert_eq!(peer.text().await, ">still here");
}

pub(super) async fn assert_evicted(mut peer: RawPeer<DuplexStream>) {
    let (code, reason) = loop {
        let frame = peer.frame().await;
        if frame.first == 0x88 {
            break frame.close();
        }
    };
    assert_eq!((code, reason.as_str()), BUFFERS_FULL);
}

pub(super) fn evictions(server: &TestServer, cause: &str) -> u64 {
    server.metric(&format!(
        "ws_server_buffer_evictions_total{{cause=\"{cause}\"}}"
    ))
}

#[tokio::test(start_paused = true)]
async fn largest_stalled_connection_goes_first() {
    let server = server();
    let mut smaller = stalled(&server, 100).await;
    let larger = stalled(&server, 300).await;
    sleep(seconds(7)).await;
    let mut newer = stalled(&server, 300).await;
    assert_evicted(larger).await;
    assert_eq!(evictions(&server, "stalled"), 1);
    assert_served(&mut smaller, 100).await;
    assert_served(&mut newer, 300).await;
}

/// A peer that takes bytes all the time, slowly, holds more than the stalled one.
#[tokio::test(start_paused = true)]
async fn progress_protects_while_others_are_stalled() {
    let server = server();
    let quiet = stalled(&server, 100).await;
    let mut reading = stalled(&server, 400).await.into_inner();
    for _ in 0..7 {
        sleep(seconds(1)).await;
        let mut piece = vec![0; 40 * KIB];
        reading.read_exact(&mut piece).await.unwrap();
    }
    let mut third = stalled(&server, 300).await;
    assert_evicted(quiet).await;
    assert_served(&mut third, 300).await;
    let mut rest = vec![0; (400 - 7 * 40) * KIB];
    reading.read_exact(&mut rest).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn longest_without_progress_goes_if_none_is_stalled() {
    let server = server();
    let first = stalled(&server, 200).await;
    sleep(seconds(1)).await;
    let mut second = stalled(&server, 400).await;
    assert_evicted(first).await;
    assert_eq!(evictions(&server, "slow"), 1);
    assert_served(&mut second, 400).await;
}

#[tokio::test(start_paused = true)]
async fn partial_messages_count() {
    let server = server();
    let message = echo_of(350);
    let mut peers = Vec::new();
    for _ in 0..3 {
        let mut peer = session(&server, "/", AS_ADMIN).await;
        peer.send(&message[..message.len() / 2]).await;
        sleep(seconds(1)).await;
        peers.push(peer);
    }
    assert_evicted(peers.remove(0)).await;
    for peer in &mut peers {
        peer.send(&message[message.len() / 2..]).await;
        assert_eq!(peer.frame().await.payload.len(), 350 * KIB);
    }
}

#[tokio::test(start_paused = true)]
async fn fragments_count_as_one_message() {
    let server = server();
    let mut peer = session(&server, "/", AS_ADMIN).await;
    let fragment = |first: u8| {
        let mut fragment = frame::binary(&vec![7; 10 * KIB]);
        fragment[0] = first;
        fragment
    };
    peer.send(fragment(0x02)).await;
    for _ in 0..20 {
        peer.send(fragment(0x00)).await;
    }
    served().await;
    let held = server.metric(BUFFERED);
    assert!((210 * 1024..=260 * 1024).contains(&held), "{held}");
}

/// Buffers that a message has grown are given back, and their sessions go on.
#[tokio::test(start_paused = true)]
async fn idle_buffers_given_back_without_a_close() {
    let server = server();
    let mut peers = Vec::new();
    for _ in 0..8 {
        let mut peer = session(&server, "/", AS_ADMIN).await;
        peer.send(echo_of(300)).await;
        assert_eq!(peer.frame().await.payload.len(), 300 * KIB);
        served().await;
        assert!(server.metric(BUFFERED) <= 1 << 20);
        peers.push(peer);
    }
    for peer in &mut peers {
        peer.send(echo_of(20)).await;
        assert_served(peer, 20).await;
    }
    assert_eq!(
        evictions(&server, "slow") + evictions(&server, "stalled"),
        0
    );
}

#[tokio::test(start_paused = true)]
async fn small_messages_never_count() {
    let server = server();
    let mut peer = session(&server, "/", AS_ADMIN).await;
    for _ in 0..100 {
        peer.send(frame::binary(&vec![7; 15 * KIB])).await;
        assert_eq!(peer.frame().await.payload.len(), 15 * KIB);
        assert_eq!(server.metric(BUFFERED), 0);
    }
    let mut unread = session(&server, "/", AS_ADMIN).await;
    unread.send(frame::binary(&vec![7; 7 * KIB])).await;
    served().await;
    assert_eq!(server.metric(BUFFERED), 0);
}

#[tokio::test(start_paused = true)]
async fn nothing_counts_after_each_kind_of_end() {
    let server = server();
    for path in ["/", "/room/a"] {
        for end in ["close", "lost", "kicked", "silent"] {
            let mut peer = session(&server, path, AS_ADMIN).await;
            peer.send(&echo_of(300)[..200 * KIB]).await;
            served().await;
            assert!(server.metric(BUFFERED) >= 300 * 1024, "{path} {end}");
            match end {
                "close" => {
                    // The message is not complete, so the Close frame is part of it.
                    peer.finish().await;
                    peer.rest().await;
                }
                "kicked" => {
                    let (id, _) = server.handle().sessions().pop().unwrap();
                    server.handle().kick(id);
                    peer.rest().await;
                }
                "silent" => {
                    sleep(seconds(90)).await;
                    peer.rest().await;
                }
                _ => drop(peer),
            }
            served().await;
            assert_eq!(server.metric(BUFFERED), 0, "{path} {end}");
        }
    }
    let _stalled = stalled(&server, 300).await;
    assert!(server.metric(BUFFERED) > 0);
    server.0.end_all().await;
    assert_eq!(server.metric(BUFFERED), 0);
}

/// The task of a connection is dropped, or panics.
#[tokio::test(start_paused = true)]
async fn nothing_counts_after_cancelled_connection() {
    let server = server();
    let registry = &server.0.registry;
    let peer = Peer::Forwarded([192, 0, 2, 1].into());
    let bytes = HeldBytes {
        own: 100 * KIB,
        shared: 0,
    };
    let holding = || {
        let registration = registry.register(registry.next_id(), peer);
        registration.report(bytes, 0);
        assert_eq!(server.metric(BUFFERED), 112 * 1024);
        registration
    };
    drop(holding());
    assert_eq!(server.metric(BUFFERED), 0);
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _registration = holding();
        panic!("a bug");
    }));
    assert!(panicked.is_err());
    assert_eq!(server.metric(BUFFERED), 0);
}

/// Connections that are closing hold their queues, until there are too many.
#[tokio::test(start_paused = true)]
async fn closing_connections_dropped_above_hard_limit() {
    let server = server();
    let mut closing = stalled(&server, 300).await;
    let (id, _) = server.handle().sessions().pop().unwrap();
    server.handle().kick(id);
    served().await;
    assert!(server.metric(BUFFERED) >= 500 * 1024);
    let mut other = stalled(&server, 450).await;
    assert_eq!(evictions(&server, "closing"), 1);
    // The pipe has the beginning of the echo, and no Close frame.
    assert!(closing.rest().await.len() <= 1 << 16);
    assert_served(&mut other, 450).await;
}

/// A room of many members holds a text once.
#[tokio::test(start_paused = true)]
async fn text_in_many_queues_counts_once() {
    let server = with_budget("4MiB");
    let mut members = Vec::new();
    for _ in 0..20 {
        members.push(session(&server, "/room/a", AS_JANE).await);
    }
    let text = "x".repeat(200 * KIB);
    let answer = ask(&server, &post("/room/a", AS_ADMIN, &text)).await;
    assert!(answer.starts_with("HTTP/1.1 204 "), "{answer}");
    served().await;
    let held = server.metric(BUFFERED);
    assert!((200 * 1024..220 * 1024).contains(&held), "{held}");
    for member in &mut members {
        assert!(member.text().await.contains(&text));
    }
    served().await;
    assert_eq!(server.metric(BUFFERED), 0);
}

/// Former fault: 1 MiB of U+0001 became 6 MiB of JSON for each connection.
#[tokio::test(start_paused = true)]
async fn text_too_long_when_escaped_is_refused() {
    let server = with_budget("8MiB");
    let text = "\u{1}".repeat(1024 * KIB / 4);
    let mut member = session(&server, "/room/a", AS_JANE).await;
    member.send(frame::text(&text)).await;
    assert_eq!(member.close().await, (1009, "message too big".to_owned()));
    let answer = ask(&server, &post("/room/a", AS_JANE, &text)).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    let handle = server.handle();
    let published = handle.publish("/room/a", "server:operator", &text);
    let refused = published.await.unwrap_err().to_string();
    assert_eq!(
        refused,
        "the text must have at most 1048576 bytes after control characters are escaped"
    );

    let longest = "\u{1}".repeat(1024 * KIB / 6);
    let mut member = session(&server, "/room/a", AS_JANE).await;
    member.send(frame::text(&longest)).await;
    assert!(member.text().await.contains("\\u0001"));
}

#[tokio::test(start_paused = true)]
async fn public_route_has_smaller_default_limit() {
    let server = server();
    let mut guest = session(&server, "/public", "").await;
    guest.send(frame::text(&"x".repeat(64 * KIB))).await;
    assert!(guest.text().await.len() > 64 * KIB);
    guest.send(frame::text(&"x".repeat(64 * KIB + 1))).await;
    assert_eq!(guest.close().await, (1009, "message too big".to_owned()));

    let settings = server.0.current.load();
    let routes = &settings.handshake.routes;
    let public = routes.find("/public").unwrap();
    assert_eq!(public.access, Access::Public);
    assert_eq!(settings.max_message_bytes(public), 64 * KIB);
    let users = routes.find("/room/a").unwrap();
    assert_eq!(settings.max_message_bytes(users), 1024 * KIB);
}

/// Former fault: a body in chunks of one byte took 22 times its length.
#[tokio::test(start_paused = true)]
async fn body_in_small_chunks_fills_one_buffer() {
    let server = server();
    let request = format!(
        "POST /room/a HTTP/1.1\r\nHost: localhost\r\n{AS_JANE}Transfer-Encoding: chunked\r\n\r\n"
    );
    let mut peer = server.connect();
    peer.send(request).await;
    peer.send("1\r\nx\r\n".repeat(100 * KIB)).await;
    served().await;
    let held = server.metric(BUFFERED);
    assert!((100 * 1024..=200 * 1024).contains(&held), "{held}");
    peer.send("0\r\n\r\n").await;
    assert!(peer.head().await.starts_with("HTTP/1.1 204 "));
    served().await;
    assert_eq!(server.metric(BUFFERED), 0);
}

#[tokio::test(start_paused = true)]
async fn post_without_progress_refused_above_budget() {
    let server = server();
    let mut post = server.connect();
    post.send(format!(
        "POST /room/a HTTP/1.1\r\nHost: localhost\r\n{AS_JANE}Content-Length: 600000\r\n\r\nhello"
    ))
    .await;
    served().await;
    assert!(server.metric(BUFFERED) >= 600_000);
    sleep(seconds(7)).await;
    let mut other = stalled(&server, 300).await;
    let answer = post.head().await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(answer.contains("Retry-After: "), "{answer}");
    assert_eq!(evictions(&server, "stalled"), 1);
    assert_served(&mut other, 300).await;
}

#[tokio::test(start_paused = true)]
async fn reload_changes_the_budget() {
    let server = with_budget("off");
    let mut peers = Vec::new();
    for _ in 0..2 {
        peers.push(stalled(&server, 300).await);
    }
    assert!(server.metric(BUFFERED) > 1 << 20);
    let source = format!("[limits]\nmax_buffered_bytes = \"1000KiB\"\n{ROUTES}");
    server.0.reload(config(&source), accounts(TWO));
    let mut last = stalled(&server, 60).await;
    assert_evicted(peers.remove(0)).await;
    assert_served(&mut last, 60).await;
}
