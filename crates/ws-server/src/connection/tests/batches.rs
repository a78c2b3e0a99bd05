//! Messages that arrive together, and floods.

use super::*;

/// Counts the writes that reach the stream.
struct Counting {
    io: DuplexStream,
    writes: Arc<AtomicUsize>,
}

impl AsyncRead for Counting {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl AsyncWrite for Counting {
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

#[tokio::test(start_paused = true)]
async fn messages_that_arrive_together_are_answered_with_two_writes_at_most() {
    let server = Server::new();
    let (ours, theirs) = duplex(1 << 16);
    let writes = Arc::new(AtomicUsize::new(0));
    server.serve(
        Counting {
            io: theirs,
            writes: Arc::clone(&writes),
        },
        Standing::Open,
    );
    let mut peer = RawPeer::new(ours).with_patience(PATIENCE);
    peer.log_in().await;
    writes.store(0, Ordering::Relaxed);
    peer.send(frame::text(&"x".repeat(64)).repeat(64)).await;
    for _ in 0..64 {
        assert_eq!(peer.text().await.len(), 64 + 21);
    }
    let writes = writes.load(Ordering::Relaxed);
    assert!((1..=2).contains(&writes), "{writes} writes");
}

/// A stream that never runs dry once it has begun to flood.
struct Flooding {
    io: DuplexStream,
    /// How many empty fragments are still to come.
    left: Arc<AtomicUsize>,
}

const FRAGMENT: &[u8] = b"\x00\x80\0\0\0\0";

impl AsyncRead for Flooding {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let left = self.left.load(Ordering::Relaxed);
        let fragments = left.min(buf.remaining() / FRAGMENT.len());
        if fragments == 0 {
            return Pin::new(&mut self.io).poll_read(cx, buf);
        }
        buf.put_slice(&FRAGMENT.repeat(fragments));
        self.left.fetch_sub(fragments, Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Flooding {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

/// Empty fragments of one message yield no message for as long as they come. On one thread,
/// another session is served all the same.
#[tokio::test(start_paused = true)]
async fn a_flood_does_not_starve_others() {
    let server = Server::new();
    let left = Arc::new(AtomicUsize::new(0));
    let (ours, theirs) = duplex(1 << 16);
    server.serve(
        Flooding {
            io: theirs,
            left: Arc::clone(&left),
        },
        Standing::Open,
    );
    let mut flooding = RawPeer::new(ours).with_patience(PATIENCE);
    flooding.log_in().await;
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
