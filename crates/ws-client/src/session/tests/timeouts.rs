//! Time limits: what they count, and what they do not.

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
    session::{
        client::run_to_exit,
        session::{ClientSession, LoginPlan, Timeouts},
    },
    websocket::Connection,
};

/// A long message may take longer than the linger time.
#[tokio::test(start_paused = true)]
async fn slow_message_is_no_silence() {
    let (ours, theirs) = tokio::io::duplex(TINY);
    let upgraded = Upgraded {
        stream: ours,
        rest: Vec::new(),
        has_subprotocol: false,
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

/// Runs a session whose stdout is not read for ten minutes. The server answers each of these lines
/// with 2999 letters. Returns the number of letters read in the end.
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
        String::from_utf8(all).unwrap().matches('z').count()
    };
    let run = run_to_exit(
        session,
        LoginPlan::Messages(LoginSource::Ask),
        stream::pending(),
    );
    let (exit, (), read) = tokio::join!(run, play, read);
    assert_eq!(exit, Exit::Ok);
    read
}

/// A reader of stdout may take any time.
#[tokio::test(start_paused = true)]
async fn slow_reader_gets_all_answers_after_end_of_input() {
    let input = format!("admin:123456\n{}", "a\n".repeat(100));
    assert_eq!(
        with_a_slow_reader(input, PromptMode::Off, 100).await,
        299_900
    );
}

#[tokio::test(start_paused = true)]
async fn slow_reader_gets_all_messages_before_server_close() {
    let input = format!("admin:123456\n{}exit\n", "a\n".repeat(100));
    let person = PromptMode::On(FakeEcho::default());
    assert_eq!(with_a_slow_reader(input, person, 100).await, 299_900);
}

/// A writer without space, as a full disk.
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
async fn unwritable_last_answer_is_a_failure() {
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
        run_to_exit(
            session,
            LoginPlan::Messages(LoginSource::Ask),
            stream::pending()
        ),
        play
    );
    assert_eq!(exit, Exit::Failure);
    assert!(
        stderr.text().contains("cannot be written"),
        "{}",
        stderr.text()
    );
}

/// A server that floods still has to answer the credentials in time.
#[tokio::test(start_paused = true)]
async fn ping_flood_does_not_suspend_the_timeout() {
    let (connection, mut server) = connected().await;
    let flood = async {
        let start = Instant::now();
        // Each ping takes time, so that the paused clock advances.
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

/// A server that accepts the login and then sends messages without end, up to a time limit for a
/// failing test.
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

/// The clock runs: an always ready stream would leave a paused clock no time to advance.
#[tokio::test]
async fn message_flood_does_not_delay_the_close() {
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
            has_subprotocol: false,
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
    let login = LoginPlan::Messages(configured("admin:123456"));
    let exit = run_to_exit(session, login, stream::pending()).await;
    assert_eq!(exit, Exit::Ok);
    assert!(
        start.elapsed() < Duration::from_secs(30),
        "{:?}",
        start.elapsed()
    );
}
