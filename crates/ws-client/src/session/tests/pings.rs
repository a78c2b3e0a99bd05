//! Pings, and a network that is dead.

use std::time::Duration;

use futures::{SinkExt as _, StreamExt as _};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::{Instant, sleep},
};
use tokio_tungstenite::tungstenite::{Bytes, Message};

use super::harness::{
    CapturedOutput, TIMEOUTS, client_of, connected, console_of, open_input, outcome, run_with,
};
use crate::{
    config::{Goal, PingTimes},
    console::PromptMode,
    exit::Exit,
    session::{
        client::run_to_exit,
        session::{ClientSession, LoginPlan, Timeouts},
    },
};

const INTERVAL: Duration = Duration::from_secs(20);
const TIMEOUT: Duration = Duration::from_secs(10);

const PINGED: Timeouts = Timeouts {
    pings: Some(PingTimes {
        interval: INTERVAL,
        timeout: TIMEOUT,
    }),
    ..TIMEOUTS
};

const LOST: &str = "ws-client: the connection was lost: nothing arrived within 10s after a ping\n";

#[tokio::test(start_paused = true)]
async fn server_that_answers_pings_keeps_the_session() {
    let (connection, mut server) = connected().await;
    let (input, _typing) = open_input(b"admin:123456\n").await;
    let play = async {
        server.accept_login().await;
        let mut pings = 0;
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_hours(1) {
            let message = server.0.next().await.unwrap().unwrap();
            assert_eq!(message, Message::Ping(Bytes::new()));
            // The library sends the pong with the next write or read.
            server.0.flush().await.unwrap();
            pings += 1;
        }
        server.close(1000, "").await;
        pings
    };
    let client = run_with(connection, client_of(input), Goal::Stay, PINGED);
    let (found, pings) = tokio::join!(client, play);
    assert_eq!(found.exit, Exit::Ok, "{found:?}");
    assert_eq!(pings, 180, "one in each interval of an hour");
}

#[tokio::test(start_paused = true)]
async fn silence_after_a_ping_is_a_lost_connection() {
    let (connection, mut server) = connected().await;
    let (input, _typing) = open_input(b"admin:123456\n").await;
    let (accepted, since) = tokio::sync::oneshot::channel();
    let play = async move {
        server.accept_login().await;
        accepted.send(Instant::now()).unwrap();
        // The stream stays open, and nothing is read or written.
        sleep(Duration::from_hours(1)).await;
    };
    let client = run_with(connection, client_of(input), Goal::Stay, PINGED);
    let ended = async {
        let found = client.await;
        (found, since.await.unwrap().elapsed())
    };
    let ((found, elapsed), ()) = tokio::join!(ended, play);
    assert_eq!(
        found,
        outcome(Exit::Closed, "", &format!("{{welcome}}{LOST}"))
    );
    // The report counts the rest of an open input for a fraction of a second.
    assert_eq!(elapsed.as_secs(), (INTERVAL + TIMEOUT).as_secs());
}

/// A long message arrives so slowly that no frame of it is complete for an hour.
#[tokio::test(start_paused = true)]
async fn any_received_byte_is_a_sign_of_life() {
    let (connection, server) = connected().await;
    let (input, _typing) = open_input(b"").await;
    let mut stream = server.0.into_inner();
    let play = async {
        let message = [&[0x82, 200 - 100][..], &[b'x'; 100]].concat();
        for byte in message {
            stream.write_all(&[byte]).await.unwrap();
            sleep(INTERVAL + TIMEOUT / 2).await;
        }
        stream.write_all(b"\x88\x02\x03\xe8").await.unwrap();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.unwrap();
    };
    let stdout = CapturedOutput::default();
    let console = console_of(
        input,
        stdout.clone(),
        CapturedOutput::default(),
        PromptMode::Off,
    );
    let session = ClientSession::new(connection, console, PINGED);
    let interrupts = futures::stream::pending();
    let running = run_to_exit(session, LoginPlan::Done(None), interrupts);
    let (exit, ()) = tokio::join!(running, play);
    assert_eq!(exit, Exit::Ok);
    assert_eq!(stdout.text(), "x".repeat(100));
}

/// The client does not read while its own output is stuck, so it cannot tell.
#[tokio::test(start_paused = true)]
async fn stuck_output_is_no_lost_connection() {
    let (connection, mut server) = connected().await;
    let (input, _typing) = open_input(b"").await;
    let (stdout, mut reader) = tokio::io::duplex(16);
    let play = async {
        for _ in 0..200 {
            server.say(&"x".repeat(1000)).await;
        }
        server.close(1000, "").await;
    };
    let read = async {
        sleep(Duration::from_hours(1)).await;
        let mut all = Vec::new();
        reader.read_to_end(&mut all).await.unwrap();
        all.len()
    };
    let console = console_of(input, stdout, tokio::io::sink(), PromptMode::Off);
    let session = ClientSession::new(connection, console, PINGED);
    let interrupts = futures::stream::pending();
    let running = run_to_exit(session, LoginPlan::Done(None), interrupts);
    let (exit, read, ()) = tokio::join!(running, read, play);
    assert_eq!((exit, read), (Exit::Ok, 200 * 1001));
}
