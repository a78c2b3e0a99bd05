//! What is waited for, and what is not.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use futures::{SinkExt as _, StreamExt as _, stream};
use proto::message::CONGRATULATION;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf},
    time::Instant,
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, protocol::Role},
};

use super::harness::{
    CapturedOutput, FakeEcho, Server, TIMEOUTS, TINY, TestClient, configured, connected,
    console_of, run, script,
};
use crate::{
    config::LoginSource,
    connect::Upgraded,
    console::PromptMode,
    exit::Exit,
    session::session::{ClientSession, Login, Timeouts},
    websocket::Connection,
};

/// A long message may take longer than any silence is waited for.
#[tokio::test(start_paused = true)]
async fn a_message_that_comes_slowly_is_no_silence() {
    let (ours, theirs) = tokio::io::duplex(TINY);
    let upgraded = Upgraded {
        stream: ours,
        rest: Vec::new(),
    };
    let connection = Connection::new(upgraded, 1 << 20).await;
    let mut server = Server(WebSocketStream::from_raw_socket(theirs, Role::Server, None).await);
    let play = async {
        server.accept_login().await;
        assert_eq!(server.text().await, "a");
        let mut stream = server.0.into_inner();
        stream.write_all(&[0x81, 100]).await.unwrap();
        for _ in 0..100 {
            tokio::time::sleep(Duration::from_millis(300)).await;
            stream.write_all(b"x").await.unwrap();
        }
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.unwrap();
    };
    let (found, ()) = tokio::join!(run(connection, script(b"admin:123456\na\n")), play);
    assert_eq!(found.stdout, format!("{}\n", "x".repeat(100)));
}

/// Runs a session whose messages nobody takes for ten minutes, with a server that answers each of
/// these lines with 3000 bytes. Returns how many bytes were taken in the end.
async fn with_a_slow_reader(
    input: String,
    prompt_mode: PromptMode<FakeEcho>,
    answers: usize,
) -> usize {
    let (connection, mut server) = connected().await;
    let (stdout, mut reader) = tokio::io::duplex(TINY);
    let console = console_of(
        input.as_bytes(),
        stdout,
        CapturedOutput::default(),
        prompt_mode,
    );
    let session = ClientSession::new(connection, console, TIMEOUTS);
    let play = async {
        server.accept_login().await;
        for _ in 0..answers {
            let _ = server.text().await;
        }
        for _ in 0..answers {
            server.say(&"z".repeat(2999)).await;
        }
        server.closed().await;
    };
    let read = async {
        tokio::time::sleep(Duration::from_mins(10)).await;
        let mut all = Vec::new();
        reader.read_to_end(&mut all).await.unwrap();
        all.len()
    };
    let run = session.run(Login::Messages(LoginSource::Ask), stream::pending());
    let (exit, (), read) = tokio::join!(run, play, read);
    assert_eq!(exit, Exit::Ok);
    read
}

/// Whoever reads the messages may take their time.
#[tokio::test(start_paused = true)]
async fn a_slow_reader_gets_all_answers_at_the_end_of_the_input() {
    let input = format!("admin:123456\n{}", "a\n".repeat(100));
    assert_eq!(
        with_a_slow_reader(input, PromptMode::Off, 100).await,
        300_000
    );
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_gets_all_that_came_before_the_servers_close() {
    let input = format!("admin:123456\n{}exit\n", "a\n".repeat(100));
    let person = PromptMode::On(FakeEcho::default());
    assert_eq!(with_a_slow_reader(input, person, 100).await, 300_000);
}

/// A stream that has room for nothing, as a full disk.
struct Full;

impl AsyncWrite for Full {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Err(io::ErrorKind::StorageFull.into()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test(start_paused = true)]
async fn the_last_answer_that_cannot_be_written_is_a_failure() {
    let (connection, mut server) = connected().await;
    let stderr = CapturedOutput::default();
    let console = console_of(
        &b"admin:123456\na\n"[..],
        Full,
        stderr.clone(),
        PromptMode::Off,
    );
    let play = async {
        server.accept_login().await;
        server.echo(1).await;
        while let Some(Ok(_)) = server.0.next().await {}
    };
    let session = ClientSession::new(connection, console, TIMEOUTS);
    let (exit, ()) = tokio::join!(
        session.run(Login::Messages(LoginSource::Ask), stream::pending()),
        play
    );
    assert_eq!(exit, Exit::Failure);
    assert!(
        stderr.text().contains("cannot be written"),
        "{}",
        stderr.text()
    );
}

/// However much a server sends, it must answer the credentials in time.
#[tokio::test(start_paused = true)]
async fn a_flood_of_pings_does_not_hold_the_time_up() {
    let (connection, mut server) = connected().await;
    let flood = async {
        let start = Instant::now();
        // Each takes some time, so that the clock goes on.
        while server.0.send(Message::Ping("x".into())).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(100)).await;
            if start.elapsed() > Duration::from_hours(1) {
                break;
            }
        }
        start.elapsed()
    };
    let client = TestClient {
        login: configured("admin:123456"),
        ..script(b"")
    };
    let (found, flooded) = tokio::join!(run(connection, client), flood);
    assert_eq!(found.exit, Exit::TimedOut);
    assert!(flooded < Duration::from_mins(1), "{flooded:?}");
}

/// A server that congratulates, and then sends messages for as long as it is read, up to a time
/// that no test should take.
struct Flood {
    next: Vec<u8>,
    until: std::time::Instant,
}

impl AsyncRead for Flood {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.next.is_empty() {
            if std::time::Instant::now() > self.until {
                return Poll::Ready(Ok(()));
            }
            self.next = b"\x81\x05flood".repeat(100);
        }
        let some = self.next.len().min(buffer.remaining());
        buffer.put_slice(&self.next[..some]);
        self.next.drain(..some);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Flood {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// The clock runs in this one: a stream that is always ready leaves it no time to be turned.
#[tokio::test]
async fn a_flood_of_messages_does_not_hold_the_close_up() {
    let length = u8::try_from(CONGRATULATION.len()).unwrap();
    let start = std::time::Instant::now();
    let stream = Flood {
        next: [&[0x81, length], CONGRATULATION.as_bytes()].concat(),
        until: start + Duration::from_mins(1),
    };
    let connection = Connection::new(
        Upgraded {
            stream,
            rest: Vec::new(),
        },
        1 << 20,
    )
    .await;
    let console = console_of(
        &b"exit\n"[..],
        tokio::io::sink(),
        tokio::io::sink(),
        PromptMode::On(FakeEcho::default()),
    );
    let timeouts = Timeouts {
        close_deadline: Duration::from_millis(50),
        ..TIMEOUTS
    };
    let session = ClientSession::new(connection, console, timeouts);
    let exit = session
        .run(
            Login::Messages(configured("admin:123456")),
            stream::pending(),
        )
        .await;
    assert_eq!(exit, Exit::Ok);
    assert!(
        start.elapsed() < Duration::from_secs(30),
        "{:?}",
        start.elapsed()
    );
}
