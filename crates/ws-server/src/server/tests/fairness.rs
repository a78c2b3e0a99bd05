//! Sessions with long messages beside a session with short ones.

use std::sync::atomic::AtomicBool;

use tokio::task::yield_now;

use crate::{
    server::{
        stream::ServedStream,
        tests::{harness::*, routes},
    },
    service::{HistoryPolicy, Unrestricted},
};

/// The sessions with long messages.
const BULK_SESSIONS: usize = 20;

const MIB: usize = 1 << 20;

/// A stream that, from a moment on, delivers long messages without end and takes all that is written.
struct BulkStream {
    io: DuplexStream,
    message: Arc<[u8]>,
    /// The number of bytes delivered of the current message.
    delivered: usize,
    bulk: Arc<Bulk>,
}

/// The controls of all such streams.
#[derive(Default)]
struct Bulk {
    has_begun: AtomicBool,
    /// The number of bytes read and written.
    bytes: AtomicUsize,
}

impl AsyncRead for BulkStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.bulk.has_begun.load(Ordering::Relaxed) {
            return Pin::new(&mut self.io).poll_read(cx, buf);
        }
        let rest = &self.message[self.delivered..];
        let piece = &rest[..rest.len().min(buf.remaining())];
        buf.put_slice(piece);
        self.bulk.bytes.fetch_add(piece.len(), Ordering::Relaxed);
        self.delivered = (self.delivered + piece.len()) % self.message.len();
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for BulkStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if !self.bulk.has_begun.load(Ordering::Relaxed) {
            return Pin::new(&mut self.io).poll_write(cx, bytes);
        }
        self.bulk.bytes.fetch_add(bytes.len(), Ordering::Relaxed);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

impl ServedStream for BulkStream {
    fn limit_unsent_bytes(&self) -> io::Result<()> {
        Ok(())
    }
}

/// Each of these sessions always has something to read, so without turns each would handle several MiB
/// before the quiet session runs.
#[tokio::test(start_paused = true)]
async fn long_messages_delay_no_short_one() {
    let (server, bulk) = (TestServer::new(), Arc::<Bulk>::default());
    let message: Arc<[u8]> = frame::binary(&vec![b'x'; MIB]).into();
    let mut peers = Vec::new();
    for _ in 0..BULK_SESSIONS {
        let (ours, io) = duplex(1 << 16);
        server.serve(BulkStream {
            io,
            message: Arc::clone(&message),
            delivered: 0,
            bulk: Arc::clone(&bulk),
        });
        let mut peer = RawPeer::new(ours).with_timeout(TIMEOUT);
        peer.log_in().await;
        peers.push(peer);
    }
    let mut quiet = server.session().await;
    bulk.has_begun.store(true, Ordering::Relaxed);
    for peer in &mut peers {
        // This wakes the session.
        peer.send(frame::ping(b"")).await;
    }
    let mut most = 0;
    for _ in 0..5 {
        let before = bulk.bytes.load(Ordering::Relaxed);
        quiet.send(frame::text("hello")).await;
        assert_eq!(quiet.text().await, "your submit context: hello");
        most = most.max(bulk.bytes.load(Ordering::Relaxed) - before);
        yield_now().await;
    }
    // The first bytes of all sessions, and two turns before and after the quiet one runs.
    assert!(
        most <= 30 * MIB,
        "{most} bytes of others between a message and its answer"
    );
    while bulk.bytes.load(Ordering::Relaxed) < 100 * MIB {
        yield_now().await;
    }
}

/// A session that waits for its turn to read is not silent.
#[tokio::test(start_paused = true)]
async fn wait_for_turn_to_read_ends_no_session() {
    let server = TestServer::new();
    let mut peer = server.connect_through(2 * MIB);
    peer.log_in().await;
    let turn = server.0.byte_turns.try_acquire();
    let text = "x".repeat(MIB - 100);
    peer.send(frame::text(&text)).await;
    sleep(seconds(600)).await;
    drop(turn);
    assert_eq!(peer.text().await.len(), 21 + text.len());
}

/// A session that waits for its turn to write has no slow reader.
#[tokio::test(start_paused = true)]
async fn wait_for_turn_to_write_ends_no_session() {
    let server = TestServer::with(routes::config(
        "[[route]]\npath = \"/\"\nservice = \"room\"",
    ));
    let mut peer = server.connect_through(2 * MIB);
    peer.log_in().await;
    // The Pong means that the session has joined the room.
    peer.send(frame::ping(b"")).await;
    assert_eq!(peer.frame().await.first, 0x8A);
    let turn = server.0.byte_turns.try_acquire();
    let history = HistoryPolicy { texts: 0, bytes: 0 };
    let text = "x".repeat(MIB).into();
    let hub = &server.0.hub;
    hub.publish(&"/".into(), "jane", &text, history, Unrestricted)
        .await;
    sleep(seconds(600)).await;
    drop(turn);
    assert_eq!(peer.text().await.len(), MIB);
}
