//! A server that sends messages without being asked.

use std::time::Duration;

use futures::StreamExt as _;
use proto::message::{CONGRATULATION, SORRY};
use tokio::{
    io::{AsyncWriteExt as _, DuplexStream},
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Message,
        protocol::{CloseFrame, Role},
    },
};

use super::harness::{
    EMPTY_INPUT, FakeEcho, Server, TINY, TestClient, USER_EXIT, client_of, configured, connected,
    outcome, run, script,
};
use crate::{
    connect::Upgraded,
    console::{EchoState, PromptMode},
    exit::Exit,
    websocket::Connection,
};

/// Returns a whole unmasked frame.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    [&[first, u8::try_from(payload.len()).unwrap()], payload].concat()
}

/// Returns both ends of a connection. Each text is a frame that arrived together with the handshake
/// response.
async fn connected_with_texts(texts: &[&str]) -> (Connection<DuplexStream>, Server) {
    let frames = texts.iter().map(|text| frame(0x81, text.as_bytes()));
    connected_with_bytes(frames.collect::<Vec<_>>().concat()).await
}

/// Returns both ends of a connection. These bytes arrived together with the handshake response.
async fn connected_with_bytes(rest: Vec<u8>) -> (Connection<DuplexStream>, Server) {
    let (ours, theirs) = tokio::io::duplex(TINY);
    let connection = Connection::new(
        Upgraded {
            stream: ours,
            rest,
            has_subprotocol: false,
        },
        1 << 20,
    )
    .await;
    let server = WebSocketStream::from_raw_socket(theirs, Role::Server, None).await;
    (connection, Server(server))
}

#[tokio::test(start_paused = true)]
async fn text_before_credentials_is_no_answer() {
    let (connection, mut server) =
        connected_with_texts(&["welcome", "to", "the", "tutorial"]).await;
    let play = async {
        assert_eq!(server.text().await, "admin:wrong");
        server.say(SORRY).await;
        server.accept_login().await;
        server.echo(1).await;
        server.closed().await
    };
    let input = b"admin:wrong\nadmin:123456\nhello\n";
    let (found, closed) = tokio::join!(run(connection, script(input)), play);
    assert_eq!(closed, (USER_EXIT.0, USER_EXIT.1.to_owned()));
    assert_eq!(found.exit, Exit::Ok);
    assert_eq!(found.stdout, "your submit context: hello\n");
    assert!(found.stderr.contains(SORRY), "{}", found.stderr);
}

#[tokio::test(start_paused = true)]
async fn configured_credentials_are_sent_after_a_greeting() {
    let (connection, mut server) = connected_with_texts(&["welcome"]).await;
    let play = async {
        server.accept_login().await;
        server.closed().await;
    };
    let client = TestClient {
        login: configured("admin:123456"),
        ..script(b"")
    };
    let (found, ()) = tokio::join!(run(connection, client), play);
    assert_eq!(
        found,
        outcome(
            Exit::Usage,
            "",
            &format!("welcome\n{{welcome}}{EMPTY_INPUT}")
        )
    );
}

#[tokio::test(start_paused = true)]
async fn server_without_login_gets_no_credentials() {
    let (connection, mut server) = connected_with_texts(&[CONGRATULATION]).await;
    let play = async { server.closed().await };
    let client = TestClient {
        login: configured("admin:123456"),
        ..script(b"")
    };
    let (found, closed) = tokio::join!(run(connection, client), play);
    assert_eq!(closed, (USER_EXIT.0, USER_EXIT.1.to_owned()));
    assert_eq!(
        found,
        outcome(Exit::Usage, "", &format!("{{welcome}}{EMPTY_INPUT}"))
    );
}

/// A server could otherwise unmask the rest of a password, and get it as a message.
#[tokio::test(start_paused = true)]
async fn unasked_login_keeps_the_hidden_prompt() {
    let (connection, mut server) = connected_with_texts(&[CONGRATULATION, "news"]).await;
    let (ours, mut typing) = tokio::io::duplex(1000);
    let echo = FakeEcho::default();
    let client = TestClient {
        prompt_mode: PromptMode::On(echo.clone()),
        ..client_of(ours)
    };
    let typed = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(!echo.0.lock().unwrap().contains(&EchoState::On));
        typing.write_all(b"admin:123456\n").await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(echo.0.lock().unwrap().last(), Some(&EchoState::On));
        typing.write_all(b"hello\nexit\n").await.unwrap();
    };
    let play = async {
        assert_eq!(server.text().await, "hello");
        server.closed().await;
    };
    let (found, (), ()) = tokio::join!(run(connection, client), play, typed);
    assert_eq!(found.exit, Exit::Ok);
    assert_eq!(found.stdout, "news\n");
    assert!(
        found.stderr.contains("the line was not sent"),
        "{}",
        found.stderr
    );
}

#[tokio::test(start_paused = true)]
async fn pushed_messages_are_not_counted_as_answers() {
    let (connection, mut server) = connected().await;
    let (ours, mut typing) = tokio::io::duplex(1000);
    let play = async {
        server.accept_login().await;
        for text in ["news", "more news", "the weather"] {
            server.say(text).await;
        }
        let lines = [
            server.text().await,
            server.text().await,
            server.text().await,
        ];
        let early = timeout(Duration::from_millis(500), server.0.next()).await;
        assert!(early.is_err(), "the answers are waited for: {early:?}");
        for line in lines {
            server.say(&line).await;
        }
        server.closed().await;
    };
    let client = client_of(ours);
    let typed = async {
        typing.write_all(b"admin:123456\n").await.unwrap();
        tokio::time::sleep(Duration::from_millis(500)).await;
        typing.write_all(b"a\nb\nc\n").await.unwrap();
        drop(typing);
    };
    let (found, (), ()) = tokio::join!(run(connection, client), play, typed);
    let expected = "news\nmore news\nthe weather\na\nb\nc\n";
    assert_eq!(found, outcome(Exit::Ok, expected, "{welcome}"));
}

#[tokio::test(start_paused = true)]
async fn crossing_close_frames_are_sent_whole() {
    let welcome = frame(0x81, CONGRATULATION.as_bytes());
    let close = frame(0x88, &1000_u16.to_be_bytes());
    // The client's Close frame does not fit into the stream at once.
    let (connection, mut server) = connected_with_bytes([welcome, close].concat()).await;
    let play = async { server.0.next().await.unwrap().unwrap() };
    let client = TestClient {
        login: configured("admin:123456"),
        ..script(b"")
    };
    let (found, closed) = tokio::join!(run(connection, client), play);
    let frame = CloseFrame {
        code: USER_EXIT.0.into(),
        reason: USER_EXIT.1.into(),
    };
    assert_eq!(closed, Message::Close(Some(frame)));
    assert_eq!(
        found,
        outcome(Exit::Usage, "", &format!("{{welcome}}{EMPTY_INPUT}"))
    );
}
