//! Sessions with a failing or slow side, and interrupted ones.

use std::time::Duration;

use futures::{SinkExt as _, StreamExt as _, stream};
use proto::{close::CloseReason, message::SORRY};
use tokio::{io::AsyncWriteExt as _, time::Instant};
use tokio_tungstenite::tungstenite::Message;

use super::harness::{
    RunOutcome, TIMEOUTS, client_of, connected, open_input, outcome, run, script,
};
use crate::exit::Exit;

#[tokio::test(start_paused = true)]
async fn close_without_reply_ends_at_the_deadline() {
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
async fn server_close_is_quoted_and_losses_counted() {
    let (connection, mut server) = connected().await;
    let play = async {
        server.accept_login().await;
        server.echo(1).await;
        // Reading all of them fixes the number of sent messages.
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
            "{welcome}ws-client: the server closed the connection, saying \"server is shutting \
             down\" (1001, going away)\nws-client: 2 messages got no answer\n"
        )
    );
}

#[tokio::test(start_paused = true)]
async fn refused_login_counts_unsent_lines() {
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
            "saying \"too many wrong logins\" (3000, unauthorized)\n\
             ws-client: 1 line was not sent\n"
        ),
        "{}",
        found.stderr
    );
}

#[tokio::test(start_paused = true)]
async fn broken_connection_is_lost() {
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
async fn unanswered_credentials_time_out() {
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
async fn ping_is_answered_while_input_is_idle() {
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

/// Returns the outcome and the client's Close frame when the server sends these bytes after the
/// login.
async fn broken_by(bytes: &[u8]) -> (RunOutcome, (u16, String)) {
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
async fn protocol_violation_gets_a_close_code() {
    for (bytes, reason, said) in [
        (
            // Masked, which only a client may do (RFC 6455 section 5.1).
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
            // The frame announces two megabytes, one is allowed.
            b"\x82\x7f\0\0\0\0\0\x20\0\0",
            CloseReason::MessageTooBig,
            "Message too long",
        ),
    ] {
        let (found, closed) = broken_by(bytes).await;
        assert_eq!(closed, (reason.code().0, reason.text().into_owned()));
        assert_eq!(found.exit, Exit::Closed);
        assert!(found.stderr.contains(said), "{}", found.stderr);
    }
}

/// tungstenite reports such a code as the server's own 1002.
#[tokio::test(start_paused = true)]
async fn close_code_that_must_not_be_sent_is_a_violation() {
    for code in [1005, 1006, 1015, 999, 5000] {
        let (connection, mut server) = connected().await;
        let (ours, _typing) = open_input(b"admin:123456\n").await;
        let play = async {
            server.accept_login().await;
            server.close(code, "").await;
        };
        let (found, ()) = tokio::join!(run(connection, client_of(ours)), play);
        let line = format!(
            "ws-client: the server broke the WebSocket protocol: it sent close code {code}, which \
             must not be sent; closed with 1002\n"
        );
        assert_eq!(
            found,
            outcome(Exit::Closed, "", &format!("{{welcome}}{line}"))
        );
    }
    // After the client's own Close frame it does no harm.
    let (connection, mut server) = connected().await;
    let play = async {
        server.accept_login().await;
        let _ = server.0.next().await;
        let stream = server.0.get_mut();
        stream.write_all(b"\x88\x02\x03\xed").await.unwrap();
    };
    let (found, ()) = tokio::join!(run(connection, script(b"admin:123456\nexit\n")), play);
    assert_eq!(found.exit, Exit::Ok);
    assert!(found.stderr.contains("close code 1005"), "{}", found.stderr);
}

#[tokio::test(start_paused = true)]
async fn line_not_utf8_ends_the_input() {
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
async fn interrupt_closes_the_connection() {
    let (connection, mut server) = connected().await;
    let (ours, _open) = tokio::io::duplex(1000);
    let client = client_of(ours).interrupted_by(stream::iter([()]));
    let play = async { server.closed().await };
    let (found, closed) = tokio::join!(run(connection, client), play);
    assert_eq!(closed, (1000, "user exit".into()));
    assert_eq!(found, outcome(Exit::Interrupted, "", ""));
}

#[tokio::test(start_paused = true)]
async fn second_interrupt_exits_at_once() {
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
async fn server_control_characters_are_escaped_on_terminal() {
    let (connection, mut server) = connected().await;
    let play = async {
        let _ = server.text().await;
        server.say("sorry \x1b[2J").await;
        let _ = server.text().await;
        server.say("congratulation \u{202e}").await;
        server.close(1001, "\x07").await;
    };
    let (found, ()) = tokio::join!(run(connection, script(b"a\nb:c\nd\n")), play);
    assert!(
        found
            .stderr
            .starts_with("sorry \\u{1b}[2J\ncongratulation \\u{202e}\n")
    );
    assert!(
        found.stderr.contains("saying \"\\u{7}\" ("),
        "{}",
        found.stderr
    );
}
