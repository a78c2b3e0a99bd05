//! Messages that arrive together, and floods.

use super::*;

const FRAGMENT: &[u8] = b"\x00\x80\0\0\0\0";

/// A stream that counts what is written to it, and that never runs dry once it is told to flood.
struct Staged {
    io: DuplexStream,
    /// How often it was written to.
    writes: Arc<AtomicUsize>,
    /// How many empty fragments are still to come.
    flood: Arc<AtomicUsize>,
}

impl AsyncRead for Staged {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let left = self.flood.load(Ordering::Relaxed);
        let fragments = left.min(buf.remaining() / FRAGMENT.len());
        if fragments == 0 {
            return Pin::new(&mut self.io).poll_read(cx, buf);
        }
        buf.put_slice(&FRAGMENT.repeat(fragments));
        self.flood.fetch_sub(fragments, Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Staged {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.writes.fetch_add(1, Ordering::Relaxed);
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

/// A session on such a stream, with its count of writes and the flood that it waits for.
async fn staged(server: &Server) -> (RawPeer<DuplexStream>, Arc<AtomicUsize>, Arc<AtomicUsize>) {
    let (ours, io) = duplex(1 << 16);
    let (writes, flood) = <(Arc<AtomicUsize>, Arc<AtomicUsize>)>::default();
    let stream = Staged {
        io,
        writes: Arc::clone(&writes),
        flood: Arc::clone(&flood),
    };
    server.serve(stream, Standing::Open);
    let mut peer = RawPeer::new(ours).with_patience(PATIENCE);
    peer.log_in().await;
    (peer, writes, flood)
}

#[tokio::test(start_paused = true)]
async fn messages_that_arrive_together_are_answered_with_two_writes_at_most() {
    let server = Server::new();
    let (mut peer, writes, _) = staged(&server).await;
    writes.store(0, Ordering::Relaxed);
    peer.send(frame::text(&"x".repeat(64)).repeat(64)).await;
    for _ in 0..64 {
        assert_eq!(peer.text().await.len(), 64 + 21);
    }
    let writes = writes.load(Ordering::Relaxed);
    assert!((1..=2).contains(&writes), "{writes} writes");
}

/// Empty fragments of one message yield no message for as long as they come. On one thread,
/// another session is served all the same.
#[tokio::test(start_paused = true)]
async fn a_flood_does_not_starve_others() {
    let server = Server::new();
    let (mut flooding, _, left) = staged(&server).await;
    let mut honest = server.session().await;
    flooding.send(frame::masked(0x01, b"")).await;
    sleep(Duration::from_millis(1)).await;
    left.store(2_000_000, Ordering::Relaxed);
    // This wakes the task, which then finds the flood before it.
    flooding.send(frame::ping(b"")).await;
    for _ in 0..10 {
        honest.send(frame::text("hello")).await;
        assert_eq!(honest.text().await, "your submit context: hello");
    }
    assert!(
        left.load(Ordering::Relaxed) > 0,
        "served only after the flood"
    );
}
