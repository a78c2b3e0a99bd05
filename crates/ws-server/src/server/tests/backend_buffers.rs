//! The bytes of upstreams and programs in the budget of all peers.

use std::pin::pin;

use futures::{FutureExt as _, future::select};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    task::yield_now,
};
use tokio_tungstenite::tungstenite::Message;

use crate::{
    peer::Peer,
    registry::HeldBytes,
    server::tests::{
        harness::*,
        program::{self, until},
        relay::{self, RelayPeer},
        routes::session,
        stream::{self, STEP, Upstream, on_workers},
    },
};

const KIB: usize = 1024;

const MIB: u64 = 1 << 20;

const BUFFERED: &str = "ws_server_buffered_bytes";

/// A budget of 1 MiB.
const SMALL: &str = "[limits]\nmax_buffered_bytes = \"1MiB\"\n";

/// The default bound, and a backend that may take its time.
const LARGE: &str = "[limits]\nwrite_deadline = \"1h\"\nclose_deadline = \"1h\"\n";

fn held(server: &TestServer) -> u64 {
    server.metric(BUFFERED)
}

async fn until_held(server: &TestServer, bytes: u64) {
    until("the bytes count", || held(server) >= bytes).await;
}

async fn until_nothing_held(server: &TestServer) {
    until("no bytes count", || held(server) == 0).await;
}

/// Sends messages of 1 MiB until this number of bytes counts.
async fn fill(server: &TestServer, client: &mut RawPeer<DuplexStream>, bytes: u64) {
    let message = frame::binary(&vec![7; 1024 * KIB]);
    let sending = async {
        loop {
            client.send(&message).await;
        }
    };
    select(pin!(sending), pin!(until_held(server, bytes))).await;
}

fn evictions(server: &TestServer, cause: &str) -> u64 {
    server.metric(&format!(
        "ws_server_buffer_evictions_total{{cause=\"{cause}\"}}"
    ))
}

/// The decoder of the client's side holds 1 MiB, and the rest is on the side of the upstream.
#[test]
fn unwritten_message_to_stream_counts_until_close() {
    on_workers(async || {
        let upstream = Upstream::bind().await;
        let server = upstream.server(LARGE);
        let (mut client, io) = stream::connected(&server, &upstream).await;
        fill(&server, &mut client, 3 * MIB / 2).await;
        let (id, _) = server.handle().sessions().pop().unwrap();
        server.handle().kick(id);
        drop(client);
        // The stream still tries to write the message.
        until("only one message counts", || held(&server) == MIB).await;
        assert_eq!(server.handle().sessions().len(), 1);
        drop(io);
        until_nothing_held(&server).await;
        until("no session is left", || {
            server.handle().sessions().is_empty()
        })
        .await;
    });
}

#[test]
fn closing_stream_dropped_above_hard_limit() {
    on_workers(async || {
        let upstream = Upstream::bind().await;
        let server = upstream.server(LARGE);
        let (mut client, mut io) = stream::connected(&server, &upstream).await;
        fill(&server, &mut client, 3 * MIB / 2).await;
        let (id, _) = server.handle().sessions().pop().unwrap();
        server.handle().kick(id);
        drop(client);
        until("only one message counts", || held(&server) == MIB).await;
        let limit = NonZeroUsize::new(1024 * KIB);
        server.0.registry.budget().set_limit(limit);
        let (mut other, _io) = stream::connected(&server, &upstream).await;
        let message = frame::binary(&vec![7; 400 * KIB]);
        other.send(&message[..200 * KIB]).await;
        until("the closing one is dropped", || {
            let sessions = server.handle().sessions().len();
            evictions(&server, "closing") == 1 && held(&server) < MIB / 2 && sessions == 1
        })
        .await;
        // Only what the sockets hold is left.
        let mut sink = Vec::new();
        let _ = timeout(STEP, io.read_to_end(&mut sink)).await.unwrap();
        other.send(&message[200 * KIB..]).await;
        until("the other one is served", || {
            server.handle().sessions().len() == 1
        })
        .await;
    });
}

#[test]
fn message_to_upstream_of_relay_counts() {
    on_workers(async || {
        let upstream = Upstream::bind().await;
        let server = upstream.relay(LARGE);
        let (mut client, peer) = relay::connected(&server, &upstream).await;
        fill(&server, &mut client, 3 * MIB / 2).await;
        drop((client, peer));
        until_nothing_held(&server).await;
    });
}

#[test]
fn partial_messages_of_upstreams_evict() {
    on_workers(async || {
        let upstream = Upstream::bind().await;
        let server = upstream.relay(SMALL);
        let mut sessions = Vec::new();
        for count in 1..=3 {
            let (client, mut peer) = relay::connected(&server, &upstream).await;
            let io = peer.websocket.get_mut();
            // The header of a frame of 400 KiB from a server.
            let mut start = b"\x82\x7f\0\0\0\0\0\x06\x40\0".to_vec();
            start.resize(start.len() + 100, 7);
            io.write_all(&start).await.unwrap();
            if count < 3 {
                until_held(&server, count * 400 * KIB as u64).await;
            }
            sessions.push((client, peer));
        }
        let (mut first, peer) = sessions.remove(0);
        assert_eq!(
            first.close().await,
            (1013, "too many bytes buffered".to_owned())
        );
        assert_eq!(evictions(&server, "slow"), 1);
        drop((first, peer, sessions.pop()));
        until("one session is left", || held(&server) == 400 * KIB as u64).await;
        let (mut client, mut peer) = sessions.remove(0);
        let io = peer.websocket.get_mut();
        io.write_all(&vec![7; 400 * KIB - 100]).await.unwrap();
        assert_eq!(client.frame().await.payload.len(), 400 * KIB);
    });
}

/// Buffers on both sides of a relay that messages have grown are given back, and sessions go on.
#[test]
fn idle_buffers_of_relays_given_back_without_close() {
    on_workers(async || {
        let upstream = Upstream::bind().await;
        let server = upstream.relay(SMALL);
        let mut sessions = Vec::new();
        let payload = vec![7; 60 * KIB];
        for _ in 0..10 {
            let (mut client, mut peer) = relay::connected(&server, &upstream).await;
            client.send(frame::binary(&payload)).await;
            assert_eq!(peer.next().await.len(), payload.len());
            peer.send(Message::Binary(payload.clone().into())).await;
            assert_eq!(client.frame().await.payload.len(), payload.len());
            sessions.push((client, peer));
        }
        for (client, peer) in &mut sessions {
            peer.send(Message::text("still here")).await;
            assert_eq!(client.text().await, "still here");
        }
        until("the bound holds", || held(&server) <= MIB).await;
        assert_eq!(
            evictions(&server, "slow") + evictions(&server, "stalled"),
            0
        );
    });
}

#[test]
fn unread_message_and_partial_line_of_program_count() {
    on_workers(async || {
        let server = program::server("sleep 1000", "");
        let mut client = program::connected(&server).await;
        client.send(frame::text(&"x".repeat(300 * KIB))).await;
        until_held(&server, 580 * KIB as u64).await;
        let (id, _) = server.handle().sessions().pop().unwrap();
        server.handle().kick(id);
        drop(client);
        until_nothing_held(&server).await;

        let script = "head -c 500000 /dev/zero | tr '\\0' x; read -r go; echo; read -r go";
        let server = program::server(script, "");
        let mut client = program::connected(&server).await;
        until_held(&server, 500_000).await;
        client.send(frame::text("go")).await;
        assert_eq!(client.text().await.len(), 500_000);
        until("the line is given back", || {
            held(&server) < 100 * KIB as u64
        })
        .await;
    });
}

#[tokio::test]
async fn request_head_counts_until_upstream_is_connected() {
    let upstream = Upstream::bind().await;
    let server = upstream.relay("");
    let fields = format!("X-Padding: {}\r\n", "x".repeat(10_000));
    let mut client = session(&server, "/", &fields).await.with_timeout(STEP);
    assert!((10_000..12_000).contains(&held(&server)));
    client.send(frame::text("jane:x")).await;
    assert_eq!(client.text().await, CONGRATULATION);
    let _peer = RelayPeer::accept(&upstream, "").await;
    until_nothing_held(&server).await;

    let unused = session(&server, "/", &fields).await;
    assert!(held(&server) >= 10_000);
    drop(unused);
    until_nothing_held(&server).await;
}

/// Nothing is read from upstreams either, until a connection that was dropped has freed its bytes.
#[tokio::test]
async fn upstream_waits_for_bytes_about_to_be_freed() {
    let upstream = Upstream::bind().await;
    let server = upstream.server(SMALL);
    let (mut client, mut io) = stream::connected(&server, &upstream).await;
    let registry = &server.0.registry;
    let peer = Peer::Forwarded([192, 0, 2, 1].into());
    let dropped = registry.register(registry.next_id(), peer);
    let own = 2048 * KIB;
    dropped.report(HeldBytes { own, shared: 0 }, 0);
    registry.relieve();
    assert_eq!(evictions(&server, "closing"), 1);
    assert!(registry.budget().must_wait());

    io.write_all(b"hello").await.unwrap();
    // The task of the session is polled again and again meanwhile, and the sockets too.
    for _ in 0..10_000 {
        yield_now().await;
    }
    assert!(client.next().now_or_never().is_none());
    drop(dropped);
    assert_eq!(client.frame().await.payload, b"hello");
}
