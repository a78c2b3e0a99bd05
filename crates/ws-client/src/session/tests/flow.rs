//! Sessions in which one side does not read.

use std::{sync::Mutex, time::Duration};

use futures::{StreamExt as _, stream};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::harness::{
    CapturedOutput, TIMEOUTS, TINY, client_of, connected, console_of, open_input, outcome, run,
    script,
};
use crate::{
    config::LoginSource,
    console::PromptMode,
    exit::Exit,
    session::{
        client::run_to_exit,
        session::{ClientSession, LoginPlan},
    },
};

#[tokio::test(start_paused = true)]
async fn server_that_reads_nothing_times_out() {
    let (connection, mut server) = connected().await;
    let long = format!("admin:123456\n{}\n", "x".repeat(60_000));
    let play = async {
        server.accept_login().await;
        std::future::pending::<()>().await;
    };
    let found = tokio::select! {
        found = run(connection, script(long.as_bytes())) => found,
        () = play => unreachable!("the server stays"),
    };
    assert_eq!(found.exit, Exit::TimedOut);
}

#[tokio::test(start_paused = true)]
async fn line_after_long_silence_has_full_timeout() {
    let (connection, mut server) = connected().await;
    let (ours, mut typing) = tokio::io::duplex(100_000);
    let client = client_of(ours);
    let play = async {
        typing.write_all(b"admin:123456\n").await.unwrap();
        server.accept_login().await;
        tokio::time::sleep(Duration::from_hours(1)).await;
        let text = format!("{}\n", "x".repeat(50_000));
        typing.write_all(text.as_bytes()).await.unwrap();
        tokio::time::sleep(TIMEOUTS.reply_deadline / 2).await;
        assert_eq!(server.text().await.len(), 50_000);
        server.say("that was long").await;
        server.close(1000, "").await;
    };
    let (found, ()) = tokio::join!(run(connection, client), play);
    assert_eq!(found.exit, Exit::Ok);
}

#[tokio::test(start_paused = true)]
async fn message_is_read_while_a_line_cannot_be_sent() {
    let (connection, mut server) = connected().await;
    let input = format!("admin:123456\n{}\n", "x".repeat(60_000));
    let play = async {
        server.accept_login().await;
        // Neither side can continue unless the client reads now.
        server.say(&"y".repeat(60_000)).await;
        assert_eq!(server.text().await.len(), 60_000);
        server.closed().await;
    };
    let (found, ()) = tokio::join!(run(connection, script(input.as_bytes())), play);
    assert_eq!(found.exit, Exit::Ok);
    assert_eq!(found.stdout.len(), 60_001);
}

#[tokio::test(start_paused = true)]
async fn closed_stdout_ends_the_session_quietly() {
    let (connection, mut server) = connected().await;
    let (stdout, reader) = tokio::io::duplex(1000);
    drop(reader);
    let stderr = CapturedOutput::default();
    let console = console_of(
        &b"admin:123456\na\nb\n"[..],
        stdout,
        stderr.clone(),
        PromptMode::Off,
    );
    let play = async {
        server.accept_login().await;
        server.echo(2).await;
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
    assert_eq!(exit, Exit::Ok);
    assert_eq!(stderr.text(), outcome(Exit::Ok, "", "{welcome}").stderr);
}

#[tokio::test(start_paused = true)]
async fn slow_stdout_reader_slows_the_server() {
    let (connection, mut server) = connected().await;
    let (stdout, mut reader) = tokio::io::duplex(TINY);
    let (ours, _typing) = open_input(b"admin:123456\n").await;
    let console = console_of(ours, stdout, CapturedOutput::default(), PromptMode::Off);
    let session = ClientSession::new(connection, console, TIMEOUTS);
    let sent = Mutex::new(0);
    let play = async {
        server.accept_login().await;
        let kilobyte = "z".repeat(1000);
        for _ in 0..1000 {
            server.say(&kilobyte).await;
            *sent.lock().unwrap() += 1;
        }
        server.close(1000, "").await;
    };
    let read = async {
        tokio::time::sleep(Duration::from_hours(1)).await;
        let held = *sent.lock().unwrap();
        let mut all = Vec::new();
        reader.read_to_end(&mut all).await.unwrap();
        (held, all.len())
    };
    let run = run_to_exit(
        session,
        LoginPlan::Messages(LoginSource::Ask),
        stream::pending(),
    );
    let (exit, (), (held, all)) = tokio::join!(run, play, read);
    // The queue holds 64 KiB, once in the write in progress and once waiting.
    assert!((50..200).contains(&held), "{held}");
    assert_eq!(all, 1_001_000);
    assert_eq!(exit, Exit::Ok);
}
