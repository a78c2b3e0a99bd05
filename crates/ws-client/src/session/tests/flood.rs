//! Servers that send without end. They cost bounded memory, and end neither the user's input nor
//! the program's own end.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
    time::Duration,
};

use futures::stream;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf},
    time::Instant,
};

use super::harness::{
    CapturedOutput, FakeEcho, LINGER, TIMEOUTS, TINY, connected, console_of, open_input,
};
use crate::{
    connect::Upgraded,
    console::PromptMode,
    exit::Exit,
    session::{
        client::run_to_exit,
        session::{ClientSession, LoginPlan},
    },
    websocket::{Connection, Reading},
};

/// A stream that always has this frame to read, and takes writes or blocks them.
struct Endless {
    frame: &'static [u8],
    rest: &'static [u8],
    /// `None` blocks every write.
    written: Option<Arc<Mutex<Vec<u8>>>>,
}

impl AsyncRead for Endless {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while buffer.remaining() > 0 {
            if self.rest.is_empty() {
                self.rest = self.frame;
            }
            let some = self.rest.len().min(buffer.remaining());
            buffer.put_slice(&self.rest[..some]);
            self.rest = &self.rest[some..];
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Endless {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let Some(written) = &self.written else {
            return Poll::Pending;
        };
        written.lock().unwrap().extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

async fn connection_on(
    frame: &'static [u8],
    written: Option<Arc<Mutex<Vec<u8>>>>,
) -> Connection<Endless> {
    let stream = Endless {
        frame,
        rest: b"",
        written,
    };
    let rest = Vec::new();
    Connection::new(
        Upgraded {
            stream,
            rest,
            has_subprotocol: false,
        },
        1 << 20,
    )
    .await
}

/// A server that sends pings and reads no pongs would fill the memory with pongs.
#[tokio::test]
async fn unread_pongs_are_bounded() {
    let mut connection = connection_on(b"\x89\x04ping", None).await;
    let mut cx = Context::from_waker(Waker::noop());
    for _ in 0..1000 {
        assert!(connection.poll_event(&mut cx, Reading::On).is_pending());
    }
    let received = connection.received_bytes();
    assert!(received < 64 * 1024, "{received}");
    assert!(
        !connection.is_flushed(),
        "a server that reads nothing stalls"
    );
}

/// Each message of a flood is ready at once, and a typed line must not wait for the last.
#[tokio::test]
async fn message_flood_does_not_delay_typed_lines() {
    let written = Arc::new(Mutex::new(Vec::new()));
    let connection = connection_on(b"\x81\x05flood", Some(Arc::clone(&written))).await;
    let (input, _typing) = open_input(b"hello\n").await;
    let person = PromptMode::On(FakeEcho::default());
    let console = console_of(input, tokio::io::sink(), tokio::io::sink(), person);
    let session = ClientSession::new(connection, console, TIMEOUTS);
    let run = run_to_exit(session, LoginPlan::Done(None), stream::pending());
    let sent = async {
        // A masked text of five bytes.
        while written.lock().unwrap().len() < 2 + 4 + 5 {
            tokio::task::yield_now().await;
        }
    };
    let raced = async {
        tokio::select! {
            biased;
            () = sent => {}
            _ = run => panic!("the session has not ended"),
        }
    };
    let raced = tokio::time::timeout(Duration::from_secs(20), raced).await;
    assert!(raced.is_ok(), "the line is sent");
}

/// Runs a pipe whose server answers nothing, reads everything, and sends a message every 100 ms.
async fn with_a_feed(stdout: impl AsyncWrite + Unpin) -> (Exit, Duration) {
    let message = [&b"\x81\x7d"[..], &[b'x'; 125]].concat();
    with_a_feed_of(b"", &message, stdout).await
}

/// Runs a pipe whose server answers nothing, reads everything, and sends these frames every 100 ms, after
/// the first bytes.
async fn with_a_feed_of(
    first: &[u8],
    frames: &[u8],
    stdout: impl AsyncWrite + Unpin,
) -> (Exit, Duration) {
    let (connection, server) = connected().await;
    let console = console_of(
        &b"subscribe\n"[..],
        stdout,
        CapturedOutput::default(),
        PromptMode::Off,
    );
    let start = Instant::now();
    let (mut read, mut write) = tokio::io::split(server.0.into_inner());
    let feed = async {
        let mut frames = [first, frames].concat();
        let mut first_len = first.len();
        loop {
            if tokio::io::AsyncWriteExt::write_all(&mut write, &frames)
                .await
                .is_err()
            {
                return;
            }
            frames.drain(..std::mem::take(&mut first_len));
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let drop_all = async {
        let mut bytes = [0; 64];
        while matches!(read.read(&mut bytes).await, Ok(1..)) {}
    };
    let session = ClientSession::new(connection, console, TIMEOUTS);
    let run = run_to_exit(session, LoginPlan::Done(None), stream::pending());
    let run = tokio::time::timeout(Duration::from_hours(24), run);
    tokio::select! {
        exit = run => (exit.expect("the session ends"), start.elapsed()),
        () = async { tokio::join!(feed, drop_all); } => panic!("the feed has not ended"),
    }
}

/// The messages of a feed are no answers, and must not keep the client alive.
#[tokio::test(start_paused = true)]
async fn feed_does_not_prolong_the_wait_for_answers() {
    let (exit, elapsed) = with_a_feed(tokio::io::sink()).await;
    assert_eq!(exit, Exit::Ok);
    let most = LINGER + TIMEOUTS.reply_deadline + TIMEOUTS.close_deadline;
    assert!(elapsed <= most + Duration::from_secs(1), "{elapsed:?}");
}

/// Former fault: the pongs to a flood of pings, and the pings themselves, counted as progress.
#[tokio::test(start_paused = true)]
async fn pings_do_not_prolong_the_wait_for_answers() {
    let ping = [&b"\x89\x7d"[..], &[b'p'; 125]].concat();
    let (exit, elapsed) = with_a_feed_of(b"", &ping, tokio::io::sink()).await;
    assert_eq!(exit, Exit::TimedOut);
    let most = LINGER + TIMEOUTS.reply_deadline + TIMEOUTS.close_deadline;
    assert!(elapsed <= most + Duration::from_secs(1), "{elapsed:?}");
}

/// Former fault: a message without end, of empty fragments, was an answer on its way for ever.
#[tokio::test(start_paused = true)]
async fn endless_message_does_not_prevent_the_end() {
    let fragments = b"\x00\x00".repeat(1000);
    let (exit, elapsed) = with_a_feed_of(b"\x01\x00", &fragments, tokio::io::sink()).await;
    assert_eq!(exit, Exit::TimedOut);
    assert!(elapsed < Duration::from_mins(20), "{elapsed:?}");
}

/// A slow reader of stdout slows the end down, and a feed uses that no more than a few times.
#[tokio::test(start_paused = true)]
async fn slow_reader_of_a_feed_does_not_prevent_the_end() {
    let (stdout, mut reader) = tokio::io::duplex(TINY);
    let read = async {
        let mut bytes = [0; 4096];
        loop {
            tokio::time::sleep(Duration::from_millis(1)).await;
            match reader.read(&mut bytes).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        }
    };
    let ((exit, elapsed), ()) = tokio::join!(with_a_feed(stdout), read);
    assert_eq!(exit, Exit::Ok);
    assert!(elapsed < Duration::from_mins(5), "{elapsed:?}");
}
