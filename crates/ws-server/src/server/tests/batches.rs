//! Messages that arrive together, and floods.

use crate::{
    server::tests::{harness::*, routes},
    service::{HistoryPolicy, Unrestricted},
};

const FRAGMENT: &[u8] = b"\x00\x80\0\0\0\0";

/// A stream that counts writes, limits each read, and can flood the reader.
struct InstrumentedStream {
    io: DuplexStream,
    /// The maximum length of one read.
    most: Arc<AtomicUsize>,
    /// The number of writes.
    writes: Arc<AtomicUsize>,
    /// The number of empty fragments still to deliver.
    flood: Arc<AtomicUsize>,
}

impl AsyncRead for InstrumentedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let left = self.flood.load(Ordering::Relaxed);
        let fragments = left.min(buf.remaining() / FRAGMENT.len());
        if fragments == 0 {
            let most = self.most.load(Ordering::Relaxed).min(buf.remaining());
            let mut piece = ReadBuf::new(buf.initialize_unfilled_to(most));
            ready!(Pin::new(&mut self.io).poll_read(cx, &mut piece))?;
            let read = piece.filled().len();
            buf.advance(read);
            return Poll::Ready(Ok(()));
        }
        buf.put_slice(&FRAGMENT.repeat(fragments));
        self.flood.fetch_sub(fragments, Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for InstrumentedStream {
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

impl ServedStream for InstrumentedStream {
    fn limit_unsent_bytes(&self) -> io::Result<()> {
        Ok(())
    }
}

/// A client on an instrumented stream, with its controls.
struct InstrumentedPeer {
    peer: RawPeer<DuplexStream>,
    most: Arc<AtomicUsize>,
    writes: Arc<AtomicUsize>,
    flood: Arc<AtomicUsize>,
}

impl InstrumentedPeer {
    async fn log_in(server: &TestServer) -> Self {
        let (ours, io) = duplex(1 << 16);
        let most = Arc::new(AtomicUsize::new(usize::MAX));
        let (writes, flood) = <(Arc<AtomicUsize>, Arc<AtomicUsize>)>::default();
        let stream = InstrumentedStream {
            io,
            most: Arc::clone(&most),
            writes: Arc::clone(&writes),
            flood: Arc::clone(&flood),
        };
        server.serve(stream);
        let mut peer = RawPeer::new(ours).with_timeout(TIMEOUT);
        peer.log_in().await;
        Self {
            peer,
            most,
            writes,
            flood,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn batched_messages_echoed_in_two_writes() {
    let server = TestServer::new();
    let InstrumentedPeer {
        mut peer, writes, ..
    } = InstrumentedPeer::log_in(&server).await;
    writes.store(0, Ordering::Relaxed);
    peer.send(frame::text(&"x".repeat(64)).repeat(64)).await;
    for _ in 0..64 {
        assert_eq!(peer.text().await.len(), 64 + 21);
    }
    let writes = writes.load(Ordering::Relaxed);
    assert!((1..=2).contains(&writes), "{writes} writes");
}

#[tokio::test(start_paused = true)]
async fn batched_pushes_written_once() {
    let server = TestServer::with(routes::config(
        "[[route]]\npath = \"/\"\nservice = \"room\"",
    ));
    let InstrumentedPeer {
        mut peer, writes, ..
    } = InstrumentedPeer::log_in(&server).await;
    // The Pong means that the session is idle.
    peer.send(frame::ping(b"")).await;
    assert_eq!(peer.frame().await.first, 0x8A);
    writes.store(0, Ordering::Relaxed);
    let history = HistoryPolicy { texts: 0, bytes: 0 };
    for number in 0..64 {
        let text = format!("{number}").into();
        server
            .0
            .hub
            .publish(&"/".into(), "jane", &text, history, Unrestricted)
            .await;
    }
    for number in 0..64 {
        assert_eq!(peer.text().await, format!("{number}"));
    }
    assert_eq!(writes.load(Ordering::Relaxed), 1);
}

/// Empty fragments never complete a message. Another session on the same thread is still served.
#[tokio::test(start_paused = true)]
async fn flood_of_fragments_starves_no_session() {
    let server = TestServer::new();
    let InstrumentedPeer {
        peer: mut flooding,
        flood: left,
        ..
    } = InstrumentedPeer::log_in(&server).await;
    let mut other = server.session().await;
    flooding.send(frame::masked(0x01, b"")).await;
    sleep(Duration::from_millis(1)).await;
    left.store(2_000_000, Ordering::Relaxed);
    // This wakes the task, which then reads the flood.
    flooding.send(frame::ping(b"")).await;
    for _ in 0..10 {
        other.send(frame::text("hello")).await;
        assert_eq!(other.text().await, "your submit context: hello");
    }
    assert!(
        left.load(Ordering::Relaxed) > 0,
        "served only after the flood"
    );
}

/// The WebSocket is rebuilt between short and long messages. No byte may be lost.
#[tokio::test(start_paused = true)]
async fn mixed_message_lengths_echoed_intact() {
    let lengths = [
        5,
        100_000,
        0,
        16_384,
        16_385,
        65_536,
        65_537,
        70,
        300_000,
        1 << 20,
        3,
        400_000,
        400_000,
        9,
    ];
    let (mut sent, mut expected) = (Vec::new(), Vec::new());
    for (index, length) in lengths.into_iter().enumerate() {
        let payload = vec![b'a' + u8::try_from(index).unwrap(); length];
        expected.push((0x82, payload.clone()));
        // A long message in two frames, with a Ping between them.
        if length == 400_000 {
            sent.push(frame::masked(0x02, &payload[..200_000]));
            sent.push(frame::ping(b"between"));
            expected.insert(expected.len() - 1, (0x8A, b"between".to_vec()));
            sent.push(frame::masked(0x80, &payload[200_000..]));
        } else {
            sent.push(frame::binary(&payload));
        }
    }
    let first = sent[0].len();
    let sent = sent.concat();
    // With `first`, a read ends after the first message: its echo is not written yet when the long
    // message arrives.
    for most in [first, 4096, usize::MAX] {
        let server = TestServer::new();
        let instrumented = InstrumentedPeer::log_in(&server).await;
        instrumented.most.store(most, Ordering::Relaxed);
        let (mut reader, mut writer) = tokio::io::split(instrumented.peer.into_inner());
        let received = async {
            let (mut bytes, mut frames) = (Vec::new(), Vec::new());
            while frames.len() < expected.len() {
                let read = tokio::io::AsyncReadExt::read_buf(&mut reader, &mut bytes).await;
                assert!(
                    read.unwrap() > 0,
                    "end of stream after {} frames",
                    frames.len()
                );
                while let Some((frame, len)) = frame::Frame::parse(&bytes) {
                    frames.push((frame.first, frame.payload));
                    bytes.drain(..len);
                }
            }
            frames
        };
        let write = tokio::io::AsyncWriteExt::write_all(&mut writer, &sent);
        let (written, received) = tokio::join!(write, received);
        written.unwrap();
        let brief = |frames: &[(u8, Vec<u8>)]| -> Vec<_> {
            let first = |payload: &Vec<u8>| payload.first().copied();
            frames
                .iter()
                .map(|(kind, payload)| (*kind, payload.len(), first(payload)))
                .collect()
        };
        assert_eq!(brief(&received), brief(&expected), "{most} bytes at once");
        assert!(received == expected, "a payload came back changed");
    }
}

/// A long reply bypasses tungstenite, which writes Pong and Close frames by itself.
#[tokio::test(start_paused = true)]
async fn long_reply_not_interleaved_with_control_frames() {
    let server = TestServer::new();
    let mut peer = server.connect_through(1000);
    peer.log_in().await;
    let long = vec![7; 200_000];
    let all = [
        frame::text("first"),
        frame::binary(&long),
        frame::ping(b"after it"),
        frame::close(1000, "user exit"),
    ];
    let (mut reader, mut writer) = tokio::io::split(peer.into_inner());
    let mut received = Vec::new();
    let read = tokio::io::AsyncReadExt::read_to_end(&mut reader, &mut received);
    let all = all.concat();
    let write = tokio::io::AsyncWriteExt::write_all(&mut writer, &all);
    let (read, written) = tokio::join!(read, write);
    read.and(written.map(|()| 0)).unwrap();
    for (first, payload) in [
        (0x81, &b"your submit context: first"[..]),
        (0x82, &long),
        (0x8A, b"after it"),
        (0x88, b"\x03\xe8user exit"),
    ] {
        let (frame, len) = frame::Frame::parse(&received).unwrap();
        assert!((frame.first, &frame.payload[..]) == (first, payload));
        received.drain(..len);
    }
    assert_eq!(received, b"");
}
