//! Messages that arrive together, and floods.

use crate::{
    server::tests::{harness::*, routes},
    service::HistoryPolicy,
};

const FRAGMENT: &[u8] = b"\x00\x80\0\0\0\0";

/// A stream that counts what is written to it, that yields no more than it is told to at once, and
/// that never runs dry once it is told to flood.
struct Staged {
    io: DuplexStream,
    /// The most that one read yields.
    most: Arc<AtomicUsize>,
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

/// A session on such a stream, and what the test holds of it.
struct Stage {
    peer: RawPeer<DuplexStream>,
    most: Arc<AtomicUsize>,
    writes: Arc<AtomicUsize>,
    flood: Arc<AtomicUsize>,
}

impl Stage {
    async fn set(server: &TestServer) -> Self {
        let (ours, io) = duplex(1 << 16);
        let most = Arc::new(AtomicUsize::new(usize::MAX));
        let (writes, flood) = <(Arc<AtomicUsize>, Arc<AtomicUsize>)>::default();
        let stream = Staged {
            io,
            most: Arc::clone(&most),
            writes: Arc::clone(&writes),
            flood: Arc::clone(&flood),
        };
        server.serve(stream);
        let mut peer = RawPeer::new(ours).with_timeout(PATIENCE);
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
async fn messages_that_arrive_together_are_answered_with_two_writes_at_most() {
    let server = TestServer::new();
    let Stage {
        mut peer, writes, ..
    } = Stage::set(&server).await;
    writes.store(0, Ordering::Relaxed);
    peer.send(frame::text(&"x".repeat(64)).repeat(64)).await;
    for _ in 0..64 {
        assert_eq!(peer.text().await.len(), 64 + 21);
    }
    let writes = writes.load(Ordering::Relaxed);
    assert!((1..=2).contains(&writes), "{writes} writes");
}

#[tokio::test(start_paused = true)]
async fn texts_that_are_pushed_together_are_written_together() {
    let server = TestServer::with(routes::config(
        "[[route]]\npath = \"/\"\nservice = \"room\"",
    ));
    let Stage {
        mut peer, writes, ..
    } = Stage::set(&server).await;
    // The session has come to rest when it has answered this.
    peer.send(frame::ping(b"")).await;
    assert_eq!(peer.frame().await.first, 0x8A);
    writes.store(0, Ordering::Relaxed);
    let history = HistoryPolicy { texts: 0, bytes: 0 };
    for number in 0..64 {
        let text = format!("{number}").into();
        server.0.hub.publish(&"/".into(), &text, history);
    }
    for number in 0..64 {
        assert_eq!(peer.text().await, format!("{number}"));
    }
    assert_eq!(writes.load(Ordering::Relaxed), 1);
}

/// Empty fragments of one message yield no message for as long as they come. On one thread,
/// another session is served all the same.
#[tokio::test(start_paused = true)]
async fn a_flood_does_not_starve_others() {
    let server = TestServer::new();
    let Stage {
        peer: mut flooding,
        flood: left,
        ..
    } = Stage::set(&server).await;
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

/// The WebSocket is rebuilt between short and long messages: nothing that it holds may be lost.
#[tokio::test(start_paused = true)]
async fn short_and_long_messages_come_back_whole_in_any_order() {
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
        // A long message of several frames, with a ping between them.
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
    // The first message alone in a read, and the next one behind it: its answer is not written yet
    // when the long one is found.
    for most in [first, 4096, usize::MAX] {
        let server = TestServer::new();
        let stage = Stage::set(&server).await;
        stage.most.store(most, Ordering::Relaxed);
        let (mut reader, mut writer) = tokio::io::split(stage.peer.into_inner());
        let received = async {
            let (mut bytes, mut frames) = (Vec::new(), Vec::new());
            while frames.len() < expected.len() {
                let read = tokio::io::AsyncReadExt::read_buf(&mut reader, &mut bytes).await;
                assert!(read.unwrap() > 0, "the end after {} frames", frames.len());
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

/// A long answer is written past the WebSocket library, which writes pongs and Close frames by itself.
#[tokio::test(start_paused = true)]
async fn nothing_comes_between_the_pieces_of_a_long_answer() {
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
