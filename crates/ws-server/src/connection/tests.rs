//! One connection on a pair of pipes, from handshake to end, on a clock that the test turns.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use proto::{
    close::CloseReason,
    credentials::Accounts,
    message::{CONGRATULATION, SORRY},
};
use raw_peer::{CREDENTIALS, HANDSHAKE, RawPeer, frame};
use tokio::{
    io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf, duplex},
    time::{Instant, sleep, timeout},
};

use super::serve;
use crate::{
    admission::{Admission, Caps, Entry, Permit},
    config::Config,
    handshake::Standing,
    server::Shared,
};

const ADMIN: &str = "[[user]]\nname = \"admin\"\npassword = \"123456\"";

/// More than any deadline that is tested here.
const PATIENCE: Duration = Duration::from_hours(1);

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A server without a listener.
struct Server(Arc<Shared>);

impl Server {
    fn new() -> Self {
        Self::with(Config::default())
    }

    fn with(config: Config) -> Self {
        Self(Arc::new(Shared::new(
            config,
            Accounts::from_toml(ADMIN).unwrap(),
        )))
    }

    fn connect(&self) -> RawPeer<DuplexStream> {
        self.connect_through(1 << 16)
    }

    /// A connection whose pipes hold only so many bytes.
    fn connect_through(&self, bytes: usize) -> RawPeer<DuplexStream> {
        let (ours, theirs) = duplex(bytes);
        self.serve(theirs, Standing::Open);
        RawPeer::new(ours).with_patience(PATIENCE)
    }

    fn serve<S>(&self, io: S, standing: Standing)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let peer = "192.0.2.1:1024".parse().unwrap();
        self.0
            .tasks
            .spawn(serve(io, peer, permit(), standing, Arc::clone(&self.0)));
    }

    /// A connection that is logged in.
    async fn session(&self) -> RawPeer<DuplexStream> {
        let mut peer = self.connect();
        peer.log_in().await;
        peer
    }
}

fn permit() -> Permit {
    let caps = Caps {
        connections: 1,
        unauthenticated: 1,
        unauthenticated_per_address: None,
        connections_per_address: None,
    };
    match Arc::new(Admission::new(caps)).enter([192, 0, 2, 1].into()) {
        Entry::Open(permit) => permit,
        other => panic!("{other:?}"),
    }
}

mod login {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn wrong_then_right_then_the_echo() {
        let server = Server::new();
        let mut peer = server.connect();
        peer.upgrade().await;
        peer.send(frame::text("admin:1")).await;
        assert_eq!(peer.text().await, SORRY);
        peer.send(frame::text(CREDENTIALS)).await;
        assert_eq!(peer.text().await, CONGRATULATION);
        peer.send(frame::text("hello")).await;
        assert_eq!(peer.text().await, "your submit context: hello");
    }

    #[tokio::test(start_paused = true)]
    async fn works_byte_by_byte() {
        let server = Server::new();
        let mut peer = server.connect_through(1);
        peer.upgrade().await;
        peer.send(frame::text("admin:1")).await;
        assert_eq!(peer.text().await, SORRY);
        peer.send(frame::text(CREDENTIALS)).await;
        assert_eq!(peer.text().await, CONGRATULATION);
        peer.send(frame::text("hello")).await;
        assert_eq!(peer.text().await, "your submit context: hello");
        peer.send(frame::close(1000, "user exit")).await;
        assert_eq!(peer.close().await, (1000, "user exit".to_owned()));
        peer.end().await;
    }

    #[tokio::test(start_paused = true)]
    async fn everything_sent_at_once_is_answered_in_order() {
        let server = Server::new();
        let mut peer = server.connect();
        let mut all = HANDSHAKE.as_bytes().to_vec();
        all.extend(frame::text("admin:1"));
        all.extend(frame::text(CREDENTIALS));
        for index in 0..300 {
            all.extend(frame::text(&format!("message {index}")));
        }
        peer.send(&all).await;
        peer.head().await;
        assert_eq!(peer.text().await, SORRY);
        assert_eq!(peer.text().await, CONGRATULATION);
        for index in 0..300 {
            assert_eq!(
                peer.text().await,
                format!("your submit context: message {index}")
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_sixth_wrong_try_ends_the_connection() {
        let server = Server::new();
        let mut peer = server.connect();
        peer.upgrade().await;
        let start = Instant::now();
        for _ in 0..6 {
            peer.send(frame::text("admin:wrong")).await;
            assert_eq!(peer.text().await, SORRY);
        }
        let took = start.elapsed();
        // Four of the answers are held back for 250 to 350 ms each.
        assert!((1000..=1405).contains(&took.as_millis()), "{took:?}");
        assert_eq!(
            peer.close().await,
            (3000, "too many wrong logins".to_owned())
        );
        peer.end().await;
    }

    #[tokio::test(start_paused = true)]
    async fn the_deadline_is_absolute() {
        let server = Server::new();
        let mut peer = server.connect();
        peer.upgrade().await;
        let start = Instant::now();
        for _ in 0..29 {
            sleep(seconds(1)).await;
            peer.send(frame::ping(b"still here")).await;
            assert_eq!(peer.frame().await.first, 0x8A);
        }
        peer.send(frame::text("admin:1")).await;
        assert_eq!(peer.text().await, SORRY);
        assert_eq!(peer.close().await, (3008, "login timeout".to_owned()));
        assert_eq!(start.elapsed().as_secs(), 30);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_is_pinged_before_the_login() {
        let mut config = Config::default();
        config.limits.ping_interval = Some(seconds(1));
        let server = Server::with(config);
        let mut peer = server.connect();
        peer.upgrade().await;
        assert_eq!(peer.frame().await.close().0, 3008);
    }

    #[tokio::test(start_paused = true)]
    async fn a_length_that_lies_is_refused_at_its_header() {
        let server = Server::new();
        let mut peer = server.connect();
        peer.upgrade().await;
        peer.send(frame::header(0x82, 1 << 20)).await;
        assert_eq!(
            peer.close().await,
            (1009, "too many bytes before the login".to_owned())
        );
    }

    #[tokio::test(start_paused = true)]
    async fn all_bytes_before_the_login_are_bounded_together() {
        let server = Server::new();
        let mut peer = server.connect();
        peer.upgrade().await;
        peer.try_send(frame::ping(&[0; 125]).repeat(200)).await;
        assert_eq!(
            peer.close().await,
            (1009, "too many bytes before the login".to_owned())
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_above_1_kib_is_a_wrong_try() {
        let server = Server::new();
        let mut peer = server.connect();
        peer.upgrade().await;
        peer.send(frame::text(&format!("admin:{}", "x".repeat(1024))))
            .await;
        assert_eq!(peer.text().await, SORRY);
        peer.send(frame::binary(CREDENTIALS.as_bytes())).await;
        assert_eq!(peer.text().await, SORRY);
    }

    #[tokio::test(start_paused = true)]
    async fn a_close_instead_of_a_login_is_answered() {
        let server = Server::new();
        let mut peer = server.connect();
        peer.upgrade().await;
        peer.send(frame::close(1000, "user exit")).await;
        assert_eq!(peer.close().await, (1000, "user exit".to_owned()));
        peer.end().await;
    }
}

mod frames {
    use super::*;

    /// Sends some bytes to a session, and tells what it is closed with.
    async fn closed_with(bytes: &[u8]) -> u16 {
        let server = Server::new();
        let mut peer = server.session().await;
        peer.try_send(bytes).await;
        peer.close().await.0
    }

    #[tokio::test(start_paused = true)]
    async fn what_breaks_the_protocol_is_closed_with_1002() {
        for (name, bytes) in [
            ("not masked", b"\x81\x02hi".to_vec()),
            ("RSV1", frame::masked(0xC1, b"hi")),
            ("RSV2", frame::masked(0xA1, b"hi")),
            ("RSV3", frame::masked(0x91, b"hi")),
            ("reserved data opcode", frame::masked(0x83, b"hi")),
            ("reserved control opcode", frame::masked(0x8B, b"hi")),
            ("continuation of nothing", frame::masked(0x80, b"hi")),
            (
                "a message within a message",
                [frame::masked(0x01, b"a"), frame::text("b")].concat(),
            ),
            ("fragmented ping", frame::masked(0x09, b"hi")),
            ("long ping", frame::masked(0x89, &[0; 126])),
            ("close with one byte", frame::masked(0x88, &[3])),
            ("close with 1005", frame::close(1005, "")),
            ("close with 1006", frame::close(1006, "")),
            ("close with 1015", frame::close(1015, "")),
            ("close with 999", frame::close(999, "")),
            ("close with 5000", frame::close(5000, "")),
        ] {
            assert_eq!(closed_with(&bytes).await, 1002, "{name}");
        }
    }

    /// Nobody waits for the rest of a frame that cannot become legal.
    #[tokio::test(start_paused = true)]
    async fn what_breaks_the_protocol_is_found_at_the_header() {
        for header in [frame::header(0x89, 60_000), b"\x82\x7e\xff\x00".to_vec()] {
            let server = Server::new();
            let mut peer = server.session().await;
            let start = Instant::now();
            peer.send(header).await;
            assert_eq!(peer.close().await, (1002, "protocol error".to_owned()));
            assert_eq!(start.elapsed(), Duration::ZERO);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn text_that_is_not_utf8_is_closed_with_1007() {
        assert_eq!(closed_with(&frame::masked(0x81, b"\xff")).await, 1007);
        let cut = [
            frame::masked(0x01, b"\xe4\xbd"),
            frame::masked(0x80, b"\xff"),
        ]
        .concat();
        assert_eq!(closed_with(&cut).await, 1007);
        let reason = frame::masked(0x88, b"\x03\xe8\xff");
        assert_eq!(closed_with(&reason).await, 1007);
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_that_is_too_big_is_closed_with_1009() {
        let max = 1 << 20;
        assert_eq!(closed_with(&frame::header(0x82, max + 1)).await, 1009);
        assert_eq!(
            closed_with(&frame::header(0x82, i64::MAX as u64)).await,
            1009
        );
        assert_eq!(closed_with(&frame::header(0x82, u64::MAX)).await, 1009);
        let fragments = [
            frame::masked(0x02, &vec![0; 1 << 19]),
            frame::masked(0x00, &vec![0; 1 << 19]),
            frame::masked(0x80, &[0]),
        ];
        assert_eq!(closed_with(&fragments.concat()).await, 1009);
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_of_the_greatest_length_is_echoed() {
        let server = Server::new();
        let mut peer = server.session().await;
        let payload: Vec<u8> = (0..=u8::MAX).cycle().take(1 << 20).collect();
        let half = payload.len() / 2;
        peer.send(frame::masked(0x02, &payload[..half])).await;
        peer.send(frame::ping(b"between")).await;
        assert_eq!(peer.frame().await.payload, b"between");
        peer.send(frame::masked(0x80, &payload[half..])).await;
        let echo = peer.frame().await;
        assert_eq!(echo.first, 0x82);
        assert!(echo.payload == payload, "the payload came back changed");
    }

    #[tokio::test(start_paused = true)]
    async fn empty_messages_and_binary_are_echoed() {
        let server = Server::new();
        let mut peer = server.session().await;
        peer.send(frame::text("")).await;
        assert_eq!(peer.text().await, "your submit context: ");
        peer.send(frame::binary(b"\0\xff")).await;
        let echo = peer.frame().await;
        assert_eq!(
            (echo.first, echo.payload.as_slice()),
            (0x82, &b"\0\xff"[..])
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_control_frames_is_closed_with_1008() {
        let server = Server::new();
        let mut peer = server.session().await;
        let flood = [frame::ping(b""), frame::pong(b"")].concat().repeat(101);
        peer.try_send(flood).await;
        assert_eq!(
            peer.close().await,
            (1008, "too many control frames".to_owned())
        );
    }

    #[tokio::test(start_paused = true)]
    async fn pings_at_a_modest_rate_are_answered_for_long() {
        let server = Server::new();
        let mut peer = server.session().await;
        for index in 0..1000_u32 {
            sleep(Duration::from_millis(10)).await;
            peer.send(frame::ping(&index.to_be_bytes())).await;
            let pong = peer.frame().await;
            assert_eq!(
                (pong.first, pong.payload),
                (0x8A, index.to_be_bytes().to_vec())
            );
        }
    }
}

mod batches {
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
}

mod time {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn silence_is_pinged_and_then_closed_with_1011() {
        let server = Server::new();
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
    async fn whoever_answers_pings_stays() {
        let server = Server::new();
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
    async fn a_session_without_messages_is_closed_where_that_is_configured() {
        let mut config = Config::default();
        config.limits.idle_timeout = Some(seconds(30));
        let server = Server::with(config);
        let mut peer = server.session().await;
        let ping = peer.frame().await;
        peer.send(frame::pong(&ping.payload)).await;
        assert_eq!(peer.close().await, (1001, "idle".to_owned()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_does_not_read_is_given_up() {
        let server = Server::new();
        let mut peer = server.connect_through(1024);
        peer.log_in().await;
        let start = Instant::now();
        // The echo of this fills every buffer on the way back, and nobody reads it.
        let message = frame::binary(&vec![0; 1 << 20]);
        peer.try_send(message.repeat(3)).await;
        peer.send(b"").await;
        server.0.tasks.close();
        server.0.tasks.wait().await;
        let took = start.elapsed().as_secs();
        // The write deadline, and then the close deadline.
        assert!((30..=35).contains(&took), "{took} s");
    }

    /// Were its pings read, each would add a pong to what waits, until no Close frame has room.
    #[tokio::test(start_paused = true)]
    async fn a_peer_that_pings_and_does_not_read_is_not_read() {
        let mut config = Config::default();
        config.limits.control_frames_per_second = None;
        config.limits.max_message_bytes = 4096;
        config.limits.max_reply_bytes = 4200;
        let server = Server::with(config);
        let mut peer = server.connect_through(1024);
        peer.log_in().await;
        let mut sent = 0;
        let flood = frame::binary(&[0; 4096]).repeat(40);
        let pings = frame::ping(&[0; 125]).repeat(100);
        // More than every buffer holds, as long as the other side takes it.
        let all = [flood, pings].concat();
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
        server.0.live.end_all(CloseReason::ShuttingDown);
        // All answers that were queued, whole, and the Close frame behind them.
        assert_eq!(
            peer.close().await,
            (1001, "server is shutting down".to_owned())
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_message_that_comes_slowly_counts_as_life() {
        let server = Server::new();
        let mut peer = server.session().await;
        let message = frame::binary(&[7; 1200]);
        for piece in message.chunks(10) {
            sleep(seconds(1)).await;
            peer.send(piece).await;
        }
        assert_eq!(peer.frame().await.payload, [7; 1200]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_reads_slowly_is_not() {
        let server = Server::new();
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
    async fn what_was_half_received_survives_that_buffers_are_given_back() {
        let server = Server::new();
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
            // At rest between two messages: now they are given back.
            sleep(seconds(15)).await;
            let start = Instant::now();
            peer.send(frame::text("again")).await;
            assert_eq!(peer.text().await, "your submit context: again");
            assert_eq!(start.elapsed(), Duration::ZERO, "it was noticed at once");
        }
    }
}

mod end {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_close_is_answered_once_and_after_all_answers() {
        let server = Server::new();
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
    async fn a_close_without_a_code_is_answered_without_one() {
        let server = Server::new();
        let mut peer = server.session().await;
        peer.send(frame::masked(0x88, b"")).await;
        assert_eq!(peer.frame().await.payload, b"");
        peer.end().await;
    }

    #[tokio::test(start_paused = true)]
    async fn shutting_down_ends_everybody_with_1001() {
        let server = Server::new();
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
        let mut asking = server.connect();
        asking.send("GET / HTTP/1.1\r\n").await;
        // Everything is on its way before the shut-down begins.
        sleep(Duration::from_millis(1)).await;
        let start = Instant::now();
        let ends = async {
            for peer in [&mut session, &mut upgraded, &mut delayed] {
                assert_eq!(
                    peer.close().await,
                    (1001, "server is shutting down".to_owned())
                );
                peer.send(frame::close(1001, "")).await;
                peer.end().await;
            }
            assert!(asking.head().await.starts_with("HTTP/1.1 503 "));
            drop(asking);
        };
        tokio::join!(server.0.drain(), ends);
        assert!(server.0.tasks.is_empty(), "all have ended");
        assert!(start.elapsed() < seconds(1));
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_does_not_answer_our_close_is_waited_for_no_longer_than_the_deadline() {
        let server = Server::new();
        let mut peer = server.session().await;
        let start = Instant::now();
        server.0.drain().await;
        assert_eq!(start.elapsed().as_secs(), 5);
        assert_eq!(peer.close().await.0, 1001);
        peer.end().await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_has_closed_and_does_not_read_holds_up_no_shutdown() {
        let server = Server::new();
        let mut peer = server.connect_through(1024);
        peer.log_in().await;
        peer.send(frame::binary(&vec![0; 64 * 1024])).await;
        peer.send(frame::close(1000, "")).await;
        sleep(Duration::from_millis(1)).await;
        let start = Instant::now();
        server.0.drain().await;
        assert_eq!(start.elapsed().as_secs(), 5, "the close deadline");
        assert!(server.0.tasks.is_empty());
    }

    /// After our Close frame, whatever the peer still sends is read and dropped: were it left
    /// unread, the system would answer it with a reset, and the frame could be lost.
    #[tokio::test(start_paused = true)]
    async fn what_comes_after_our_close_is_read_and_dropped() {
        let server = Server::new();
        let mut peer = server.session().await;
        peer.send(frame::masked(0x83, b"a reserved opcode")).await;
        assert_eq!(peer.close().await.0, 1002);
        // More than the pipe holds, so that it blocks unless it is read.
        let more = timeout(seconds(1), peer.send(frame::binary(&vec![0; 1 << 20]))).await;
        assert!(more.is_ok(), "it was not read");
        peer.send(frame::close(1002, "")).await;
        peer.end().await;
    }

    #[tokio::test]
    async fn a_panic_in_a_service_ends_its_session_with_1011() {
        let id = Server::new().0.live.next_id();
        let ended = super::super::until_ended(async { panic!("a bug") }, id).await;
        assert_eq!(ended.code().map(|code| code.0), Some(1011));
    }
}
