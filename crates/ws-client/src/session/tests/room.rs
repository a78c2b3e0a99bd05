//! Sessions in a room with other members, and the end of a piped input there.

use std::time::Duration;

use futures::{SinkExt as _, StreamExt as _};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;

use super::{
    basic::{ADMIN, run_client, upgrade},
    harness::{
        FakeEcho, LINGER, TINY, TestClient, client_of, configured, connected, outcome, run, script,
    },
};
use crate::{config::Auth, console::PromptMode, exit::Exit};

const NO_LOGIN: &str = "ws-client: the room needs no login; use --auth none to join it\n";

fn said(from: &str, text: &str) -> String {
    format!(r#"{{"from":"{from}","text":"{text}","at":"2026-11-25T16:40:05.123Z"}}"#)
}

#[tokio::test(start_paused = true)]
async fn end_of_input_waits_for_own_messages() {
    let (connection, mut server) = connected().await;
    let told = [
        r#"{"joined":"admin","at":"2026-11-25T16:40:05.123Z"}"#.to_owned(),
        said("admin", "yesterday"),
        said("admin", "before that"),
        said("bob", "b"),
        said("admin", "a"),
        said("admin", "b"),
    ];
    let play = async {
        server.accept_login().await;
        let _ = (server.text().await, server.text().await);
        for text in &told[..4] {
            server.say(text).await;
        }
        for text in &told[4..] {
            tokio::time::sleep(Duration::from_millis(900)).await;
            server.say(text).await;
        }
        let all = Instant::now();
        server.closed().await;
        assert_eq!(all.elapsed(), Duration::ZERO);
    };
    let (found, ()) = tokio::join!(run(connection, script(b"admin:123456\na\nb\n")), play);
    let raw = format!("{}\n", told.join("\n"));
    assert_eq!(found, outcome(Exit::Ok, &raw, "{welcome}"));
}

/// The room would show the credentials to all members.
#[tokio::test(start_paused = true)]
async fn room_without_login_gets_no_credentials() {
    let (connection, mut server) = connected().await;
    let play = async {
        server
            .say(r#"{"joined":"guest:17","at":"2026-11-25T16:40:05.123Z"}"#)
            .await;
        server.closed().await
    };
    let (input, _typed) = tokio::io::duplex(TINY);
    let client = TestClient {
        prompt_mode: PromptMode::On(FakeEcho::default()),
        ..client_of(input)
    };
    let (found, closed) = tokio::join!(run(connection, client), play);
    assert_eq!(closed.0, 1000);
    let prompt = "please enter your username and password: \n";
    let expected = format!("{{hint}}{prompt}{NO_LOGIN}");
    assert_eq!(found, outcome(Exit::Usage, "", &expected));
}

#[tokio::test(start_paused = true)]
async fn credentials_sent_to_a_room_are_reported() {
    let (connection, mut server) = connected().await;
    let play = async {
        let text = server.text().await;
        server.say(&said("guest:17", &text)).await;
        server.closed().await;
    };
    let (found, ()) = tokio::join!(run(connection, script(b"admin:123456\na\n")), play);
    let expected = format!(
        "{NO_LOGIN}ws-client: what was sent as credentials may have been shown to others: choose \
         a new password\nws-client: 1 line was not sent\n"
    );
    assert_eq!(found, outcome(Exit::Usage, "", &expected));
}

#[tokio::test(start_paused = true)]
async fn messages_of_others_do_not_delay_the_end() {
    let (connection, mut server) = connected().await;
    let play = async {
        server.accept_login().await;
        let _ = server.text().await;
        let sent = Instant::now();
        let mut ticks = tokio::time::interval(Duration::from_millis(100));
        let closed = loop {
            tokio::select! {
                closed = server.0.next() => break closed,
                _ = ticks.tick() => server.0.feed(Message::text(said("bob", "hi"))).await.unwrap(),
            }
            server.0.flush().await.unwrap();
        };
        assert!(closed.unwrap().unwrap().is_close());
        assert_eq!(sent.elapsed(), LINGER);
        assert!(server.0.next().await.is_none());
    };
    let (found, ()) = tokio::join!(run(connection, script(b"admin:123456\na\n")), play);
    assert_eq!(found.exit, Exit::Ok);
    assert!(
        found
            .stderr
            .ends_with("ws-client: 1 message got no answer\n"),
        "{}",
        found.stderr
    );
}

#[tokio::test(start_paused = true)]
async fn own_message_during_close_counts_as_answer() {
    let (connection, mut server) = connected().await;
    let play = async {
        server.accept_login().await;
        let text = server.text().await;
        server.say(&said("bob", "hi")).await;
        tokio::time::sleep(LINGER * 2).await;
        server.say(&said("admin", &text)).await;
        server.closed().await;
    };
    let (found, ()) = tokio::join!(run(connection, script(b"admin:123456\na\n")), play);
    let raw = format!("{}\n{}\n", said("bob", "hi"), said("admin", "a"));
    assert_eq!(found, outcome(Exit::Ok, &raw, "{welcome}"));
}

#[tokio::test(start_paused = true)]
async fn basic_login_recognises_own_messages_by_name() {
    let client = TestClient {
        login: configured("admin:123456"),
        ..script(b"a\n")
    };
    let found = run_client(Auth::Basic, client, async |listener| {
        let mut server = listener.accept(ADMIN).await;
        let text = server.text().await;
        server.say(&said("bob", &text)).await;
        tokio::time::sleep(Duration::from_millis(900)).await;
        server.say(&said("admin", &text)).await;
        let all = Instant::now();
        server.closed().await;
        assert_eq!(all.elapsed(), Duration::ZERO);
    })
    .await;
    let raw = format!("{}\n{}\n", said("bob", "a"), said("admin", "a"));
    assert_eq!(found, outcome(Exit::Ok, &raw, ""));
}

#[tokio::test(start_paused = true)]
async fn guest_closes_after_its_last_text_returned() {
    let found = run_client(Auth::None, script(b"a\nb\n"), async |listener| {
        let (stream, _) = listener.accept_request().await;
        let mut server = upgrade(stream).await;
        let _ = (server.text().await, server.text().await);
        for text in ["news", "a", "more news"] {
            server.say(&said("guest:17", text)).await;
        }
        tokio::time::sleep(Duration::from_millis(900)).await;
        server.say(&said("guest:17", "b")).await;
        let all = Instant::now();
        server.closed().await;
        assert_eq!(all.elapsed(), Duration::ZERO);
    })
    .await;
    assert_eq!(found.exit, Exit::Ok);
    assert_eq!(found.stdout.lines().count(), 4);
    assert_eq!(found.stderr, "");
}
