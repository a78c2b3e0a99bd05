//! Sessions in which a side fails, is slow, or is interrupted.

use std::time::Duration;

use futures::{SinkExt as _, StreamExt as _, stream};
use proto::{close::CloseReason, message::SORRY};
use tokio::{io::AsyncWriteExt as _, time::Instant};
use tokio_tungstenite::tungstenite::Message;

use super::harness::{Outcome, TIMEOUTS, client_of, connected, open_input, outcome, run, script};
use crate::exit::Exit;

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_close_is_left_after_the_deadline() {
    let (connection, mut server) = connected().await;
    let play = async {
        server.accept_login().await;
        server.echo(1).await;
        Instant::now()
    };
    let (found, answered) = tokio::join!(run(connection, script(b"admin:123456\na\n")), play);
    assert_eq!(answered.elapsed(), TIMEOUTS.close_deadline);
    let stdout = "your submit context: a\n";
    assert_eq!((found.exit, &*found.stdout), (Exit::Ok, stdout));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_closes_in_the_middle_is_quoted_and_what_is_lost_is_counted() {
    let (connection, mut server) = connected().await;
    let play = async {
        server.accept_login().await;
        server.echo(1).await;
        // All three are read, so that it is certain how many were sent.
        let _ = (server.text().await, server.text().await);
        server.close(1001, "server is shutting down").await;
    };
    let (ours, _typing) = open_input(b"admin:123456\na\nb\nc\n").await;
    let client = client_of(ours);
    let (found, ()) = tokio::join!(run(connection, client), play);
    assert_eq!(
        found,
        outcome(
            Exit::Closed,
            "your submit context: a\n",
            "{welcome}ws-client: the server closed the connection: 1001, it is going away, \
             saying \"server is shutting down\"\nws-client: 2 messages got no answer\n"
        )
    );
}

#[tokio::test(start_paused = true)]
async fn lines_that_a_refusing_server_did_not_want_are_counted() {
    let (connection, mut server) = connected().await;
    let play = async {
        let _ = server.text().await;
        server.say(SORRY).await;
        let _ = server.text().await;
        server.close(3000, "too many wrong logins").await;
    };
    let input = b"bad:1\nbad:2\nbad:3\n";
    let (found, ()) = tokio::join!(run(connection, script(input)), play);
    assert_eq!(found.exit, Exit::LoginRefused);
    assert!(
        found.stderr.ends_with(
            "3000, not authorized, or no longer, saying \"too many wrong logins\"\n\
             ws-client: 1 line was not sent\n"
        ),
        "{}",
        found.stderr
    );
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_breaks_is_lost() {
    let (connection, mut server) = connected().await;
    let play = async {
        server.accept_login().await;
        drop(server);
    };
    // The input stays open.
    let (ours, _typing) = open_input(b"admin:123456\n").await;
    let client = client_of(ours);
    let (found, ()) = tokio::join!(run(connection, client), play);
    assert_eq!(found.exit, Exit::Closed);
}

#[tokio::test(start_paused = true)]
async fn credentials_without_an_answer_time_out() {
    let (connection, mut server) = connected().await;
    let play = async {
        let _ = server.text().await;
        server.closed().await;
    };
    let began = Instant::now();
    let (found, ()) = tokio::join!(run(connection, script(b"admin:123456\na\n")), play);
    assert_eq!(began.elapsed(), TIMEOUTS.reply_deadline);
    assert_eq!(found.exit, Exit::TimedOut);
    let counted = "ws-client: 1 line was not sent\n";
    assert!(found.stderr.ends_with(counted), "{found:?}");
}

#[tokio::test(start_paused = true)]
async fn a_ping_is_answered_while_nothing_is_typed() {
    let (connection, mut server) = connected().await;
    let play = async {
        server.accept_login().await;
        server
            .0
            .send(Message::Ping("are you there".into()))
            .await
            .unwrap();
        let pong = server.0.next().await.unwrap().unwrap();
        server.close(1000, "").await;
        pong
    };
    let (ours, _typing) = open_input(b"admin:123456\n").await;
    let client = client_of(ours);
    let (found, pong) = tokio::join!(run(connection, client), play);
    assert_eq!(pong, Message::Pong("are you there".into()));
    assert_eq!(found.exit, Exit::Ok);
}

/// A server that sends these bytes after the login, and what the client's Close frame says.
async fn broken_by(bytes: &[u8]) -> (Outcome, (u16, String)) {
    let (connection, mut server) = connected().await;
    let (ours, _typing) = open_input(b"admin:123456\n").await;
    let client = client_of(ours);
    let play = async {
        server.accept_login().await;
        server.0.get_mut().write_all(bytes).await.unwrap();
        server.closed().await
    };
    tokio::join!(run(connection, client), play)
}

#[tokio::test(start_paused = true)]
async fn a_server_that_breaks_the_protocol_is_told_so() {
    for (bytes, reason, said) in [
        (
            // Masked, as only a client may.
            &b"\x81\x81\0\0\0\0x"[..],
            CloseReason::ProtocolError,
            "Received a masked frame from server",
        ),
        (
            b"\x81\x01\xff",
            CloseReason::InvalidUtf8,
            "invalid utf-8 sequence",
        ),
        (
            // Two megabytes are announced, one is allowed.
            b"\x82\x7f\0\0\0\0\0\x20\0\0",
            CloseReason::MessageTooBig,
            "Message too long",
        ),
    ] {
        let (found, closed) = broken_by(bytes).await;
        assert_eq!(closed, (reason.code().0, reason.text().into()));
        assert_eq!(found.exit, Exit::Closed);
        assert!(found.stderr.contains(said), "{}", found.stderr);
    }
}

#[tokio::test(start_paused = true)]
async fn a_line_that_is_not_utf8_ends_the_input() {
    let (connection, mut server) = connected().await;
    let play = async {
        server.accept_login().await;
        server.echo(1).await;
        server.closed().await;
    };
    let input = b"admin:123456\na\n\xff\nb\n";
    let (found, ()) = tokio::join!(run(connection, script(input)), play);
    assert_eq!(
        found,
        outcome(
            Exit::Usage,
            "your submit context: a\n",
            "{welcome}ws-client: line 3 of the input is not UTF-8\n\
             ws-client: 2 lines were not sent\n"
        )
    );
}

#[tokio::test(start_paused = true)]
async fn an_interrupt_closes_the_connection() {
    let (connection, mut server) = connected().await;
    let (ours, _open) = tokio::io::duplex(1000);
    let client = client_of(ours).interrupted_by(stream::iter([()]));
    let play = async { server.closed().await };
    let (found, closed) = tokio::join!(run(connection, client), play);
    assert_eq!(closed, (1000, "user exit".into()));
    assert_eq!(found, outcome(Exit::Interrupted, "", ""));
}

#[tokio::test(start_paused = true)]
async fn a_second_interrupt_waits_for_nobody() {
    let (connection, server) = connected().await;
    let (ours, _open) = tokio::io::duplex(1000);
    let client = client_of(ours).interrupted_by(stream::iter([(), ()]));
    let began = Instant::now();
    let found = run(connection, client).await;
    assert_eq!(began.elapsed(), Duration::ZERO);
    assert_eq!(found.exit, Exit::Interrupted);
    drop(server);
}

#[tokio::test(start_paused = true)]
async fn a_terminal_sees_no_control_characters_of_the_server() {
    let (connection, mut server) = connected().await;
    let play = async {
        let _ = server.text().await;
        server.say("sorry \x1b[2J").await;
        let _ = server.text().await;
        server.say("congratulation \u{202e}").await;
        server.close(1001, "\x07").await;
    };
    let (found, ()) = tokio::join!(run(connection, script(b"a\nb\nc\n")), play);
    assert!(
        found
            .stderr
            .starts_with("sorry \\u{1b}[2J\ncongratulation \\u{202e}\n")
    );
    assert!(
        found.stderr.contains("saying \"\\u{7}\"\n"),
        "{}",
        found.stderr
    );
}
