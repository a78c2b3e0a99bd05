//! What is waited for, and what is not.

use super::*;

/// A long message may take longer than any silence is waited for.
#[tokio::test(start_paused = true)]
async fn a_message_that_comes_slowly_is_no_silence() {
    let (ours, theirs) = tokio::io::duplex(TINY);
    let opened = Opened {
        stream: ours,
        rest: Vec::new(),
    };
    let link = Link::new(opened, 1 << 20).await;
    let mut server = Server(WebSocketStream::from_raw_socket(theirs, Role::Server, None).await);
    let play = async {
        server.welcome().await;
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
    let (found, ()) = tokio::join!(run(link, script(b"admin:123456\na\n")), play);
    assert_eq!(found.stdout, format!("{}\n", "x".repeat(100)));
}

/// Whoever reads the messages may take their time.
#[tokio::test(start_paused = true)]
async fn a_slow_reader_gets_all_answers_at_the_end_of_the_input() {
    let (link, mut server) = connected().await;
    let (stdout, mut reader) = tokio::io::duplex(TINY);
    let input = format!(
        "admin:123456\n{}",
        format!("{}\n", "z".repeat(1000)).repeat(300)
    );
    let console = Streams::new(
        input.as_bytes(),
        (stdout, Reader::Program),
        Written::default(),
        Asking::<FakeEcho>::Nobody,
        NonZeroUsize::new(1 << 16).unwrap(),
    );
    let session = Session::new(link, console, TIMES);
    let play = async {
        server.welcome().await;
        server.echo(300).await;
        server.closed().await;
    };
    let read = async {
        tokio::time::sleep(Duration::from_mins(10)).await;
        let mut all = Vec::new();
        reader.read_to_end(&mut all).await.unwrap();
        all.len()
    };
    let run = session.run(LoginSource::Ask, &[], stream::pending());
    let (exit, (), read) = tokio::join!(run, play, read);
    assert_eq!(read, 300 * ("your submit context: ".len() + 1000 + 1));
    assert_eq!(exit, Exit::Ok);
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
    let (link, mut server) = connected().await;
    let stderr = Written::default();
    let console = Streams::new(
        &b"admin:123456\na\n"[..],
        (Full, Reader::Program),
        stderr.clone(),
        Asking::<FakeEcho>::Nobody,
        NonZeroUsize::new(1 << 16).unwrap(),
    );
    let play = async {
        server.welcome().await;
        server.echo(1).await;
        while let Some(Ok(_)) = server.0.next().await {}
    };
    let session = Session::new(link, console, TIMES);
    let (exit, ()) = tokio::join!(session.run(LoginSource::Ask, &[], stream::pending()), play);
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
    let (link, mut server) = connected().await;
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
    let client = Client {
        login: configured("admin:123456"),
        ..script(b"")
    };
    let (found, flooded) = tokio::join!(run(link, client), flood);
    assert_eq!(found.exit, Exit::TimedOut);
    assert!(flooded < Duration::from_mins(1), "{flooded:?}");
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_messages_does_not_hold_the_close_up() {
    let (link, mut server) = connected().await;
    let flood = async {
        server.welcome().await;
        let start = Instant::now();
        while server.0.send(Message::text("flood")).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(1)).await;
            if start.elapsed() > Duration::from_hours(1) {
                break;
            }
        }
        start.elapsed()
    };
    let (found, flooded) = tokio::join!(run(link, script(b"admin:123456\nexit\n")), flood);
    assert!(flooded < Duration::from_secs(10), "{flooded:?}");
    assert_eq!(found.exit, Exit::Ok);
}
