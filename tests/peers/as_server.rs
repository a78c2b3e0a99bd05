//! `ws-client` in a pipe with servers of other libraries.

use std::fs;

use integration_tests::{
    AUTH_BASIC_HINT, Authority, CONGRATULATION, CREDENTIALS_REFUSED, GOODBYE, PREFIX, SORRY,
    TEST_TIMEOUT, client, echoed, echoed_lines, run, spawn, wait_for_exit, welcome_and_goodbye,
};
use proto::close::CloseReason;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    time::timeout,
};

use crate::scripted_peer::{Event, Library, ScriptedPeer, closed, closed_for, text};

pub(crate) async fn dialogue_of_the_tutorial_succeeds(library: Library) {
    let (mut peer, url) = ScriptedPeer::server(library).await;
    let client = run(client([url]), "admin:1\nadmin:123456\nhello\nexit\n");
    let serve = async {
        assert_eq!(peer.event().await, Event::Opened);
        assert_eq!(peer.event().await, text("admin:1"));
        peer.text(SORRY).await;
        assert_eq!(peer.event().await, text("admin:123456"));
        peer.text(CONGRATULATION).await;
        assert_eq!(peer.event().await, text("hello"));
        peer.text(&echoed("hello")).await;
        assert_eq!(peer.event().await, closed_for(CloseReason::UserExit));
    };
    let (finished, ()) = tokio::join!(client, serve);
    peer.finish().await;
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert_eq!(finished.stdout(), echoed_lines(["hello"]));
    assert_eq!(
        finished.stderr,
        format!("{SORRY}\n{}", welcome_and_goodbye())
    );
}

pub(crate) async fn mebibyte_line_is_sent_and_printed_whole(library: Library) {
    let (mut peer, url) = ScriptedPeer::server(library).await;
    let line = "0123456789abcdef".repeat(1_048_576 / 16);
    assert_eq!(line.len(), 1_048_576);
    let answer = echoed(&line);
    let client = run(client([url]), format!("admin:123456\n{line}\n"));
    let serve = async {
        peer.accept_login().await;
        assert!(peer.next_text().await == line);
        peer.text(&answer).await;
        assert_eq!(peer.event().await, closed_for(CloseReason::UserExit));
    };
    let (finished, ()) = tokio::join!(client, serve);
    peer.finish().await;
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    assert!(finished.stdout() == answer + "\n");
}

pub(crate) async fn binary_is_printed_as_raw_bytes(library: Library) {
    let (mut peer, url) = ScriptedPeer::server(library).await;
    let bytes: Vec<u8> = (0..=u8::MAX).collect();
    let client = run(client([url]), "admin:123456\nwhat have you got?\n");
    let serve = async {
        peer.accept_login().await;
        assert_eq!(peer.event().await, text("what have you got?"));
        peer.binary(&bytes).await;
        assert_eq!(peer.event().await, closed_for(CloseReason::UserExit));
    };
    let (finished, ()) = tokio::join!(client, serve);
    peer.finish().await;
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    assert_eq!(finished.stdout, bytes);
}

pub(crate) async fn pipelined_lines_are_printed_in_order(library: Library) {
    let (mut peer, url) = ScriptedPeer::server(library).await;
    let lines = |start: &str| -> Vec<String> {
        (0..500)
            .map(|index| format!("{start}line {index}"))
            .collect()
    };
    let (lines, answers) = (lines(""), lines(PREFIX));
    let client = run(
        client([url]),
        format!("admin:123456\n{}\n", lines.join("\n")),
    );
    let serve = async {
        peer.accept_login().await;
        // All lines arrive before the first reply is sent.
        for line in &lines {
            assert_eq!(&peer.next_text().await, line);
        }
        for answer in &answers {
            peer.text(answer).await;
        }
        assert_eq!(peer.event().await, closed_for(CloseReason::UserExit));
    };
    let (finished, ()) = tokio::join!(client, serve);
    peer.finish().await;
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    assert!(finished.stdout() == answers.join("\n") + "\n");
}

/// Each reply is sent after the last one was printed, long after the end of stdin.
pub(crate) async fn replies_after_end_of_input_are_printed(library: Library) {
    let (mut peer, url) = ScriptedPeer::server(library).await;
    // The linger time must not end the connection, even on a slow machine.
    let mut client = spawn(client([url.as_str(), "--linger", "1h"]));
    let mut stdin = client.stdin.take().unwrap();
    let mut stdout = BufReader::new(client.stdout.take().unwrap()).lines();
    stdin
        .write_all(b"admin:123456\none\ntwo\nthree\nfour\nfive")
        .await
        .unwrap();
    drop(stdin);
    peer.accept_login().await;
    let lines = ["one", "two", "three", "four", "five"];
    for line in lines {
        assert_eq!(peer.event().await, text(line));
    }
    for line in lines {
        let answer = echoed(line);
        peer.text(&answer).await;
        let printed = timeout(TEST_TIMEOUT, stdout.next_line()).await.unwrap();
        assert_eq!(printed.unwrap(), Some(answer));
    }
    assert_eq!(peer.event().await, closed_for(CloseReason::UserExit));
    peer.finish().await;
    assert_eq!(wait_for_exit(&mut client).await.code(), Some(0));
    assert_eq!(stdout.next_line().await.unwrap(), None);
}

pub(crate) async fn end_of_input_closes_with_1000(library: Library) {
    let (mut peer, url) = ScriptedPeer::server(library).await;
    let client = run(client([url]), "admin:123456\n");
    let serve = async {
        peer.accept_login().await;
        assert_eq!(peer.event().await, closed_for(CloseReason::UserExit));
    };
    let (finished, ()) = tokio::join!(client, serve);
    peer.finish().await;
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    assert_eq!(finished.stdout(), "");
}

pub(crate) async fn server_error_prints_code_and_reason(library: Library) {
    let (mut peer, url) = ScriptedPeer::server(library).await;
    let client = run(client([url]), "admin:123456\nhello\n");
    let serve = async {
        peer.accept_login().await;
        assert_eq!(peer.event().await, text("hello"));
        peer.close(1011, "out of paper").await;
        assert_eq!(peer.event().await, closed(1011, "out of paper"));
    };
    let (finished, ()) = tokio::join!(client, serve);
    peer.finish().await;
    assert_eq!(finished.code, Some(8), "{finished:?}");
    assert_eq!(finished.stdout(), "");
    assert!(finished.stderr.contains("1011"), "{}", finished.stderr);
    assert!(
        finished.stderr.contains("out of paper"),
        "{}",
        finished.stderr
    );
}

/// The library requests and checks the credentials. The legacy API fails for non-ASCII passwords.
pub(crate) async fn credentials_in_the_handshake_log_in(library: Library) {
    let (mut peer, url) = ScriptedPeer::server_with_basic(library, "jané", "pa:ss: ").await;
    let command = || client([url.as_str(), "--auth", "basic"]);

    let refused = run(command(), "jané:pa:ss:\nhello\n").await;
    assert_eq!(refused.code, Some(3), "{refused:?}");
    assert_eq!(refused.stdout(), "");
    assert!(refused.stderr.contains(CREDENTIALS_REFUSED), "{refused:?}");
    let rest = "ws-client: 1 line was not sent\n";
    assert!(refused.stderr.ends_with(rest), "{refused:?}");

    let client = run(command(), "jané:pa:ss: \nhello\nexit\n");
    let serve = async {
        assert_eq!(peer.event().await, Event::Opened);
        assert_eq!(peer.event().await, text("hello"));
        peer.text("hello yourself").await;
        assert_eq!(peer.event().await, closed_for(CloseReason::UserExit));
    };
    let (finished, ()) = tokio::join!(client, serve);
    peer.finish().await;
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert_eq!(finished.stdout(), "hello yourself\n");
    assert_eq!(finished.stderr, format!("{GOODBYE}\n"));
}

pub(crate) async fn missing_credentials_error_names_auth_basic(library: Library) {
    let (_peer, url) = ScriptedPeer::server_with_basic(library, "admin", "123456").await;
    let finished = run(client([url]), "admin:123456\nhello\n").await;
    assert_eq!(finished.code, Some(6), "{finished:?}");
    assert_eq!(finished.stdout(), "");
    let hint = AUTH_BASIC_HINT;
    assert!(finished.stderr.contains(hint), "{finished:?}");
}

pub(crate) async fn trusted_certificate_allows_the_dialogue(library: Library) {
    let directory = TempDir::new().unwrap();
    let write = |name: &str, content: &str| {
        let path = directory.path().join(name);
        fs::write(&path, content).unwrap();
        path.into_os_string().into_string().unwrap()
    };
    let authority = Authority::new();
    let issued = authority.issue(&["127.0.0.1"]);
    let trusted = write("authority.pem", &authority.certificate());
    let certificate = write("certificate.pem", &issued.certificate);
    let key = write("key.pem", &issued.private_key);
    let (mut peer, url) = ScriptedPeer::server_with_tls(library, &certificate, &key).await;

    let other = write("other.pem", &Authority::named("other").certificate());
    let refused = run(client([url.as_str(), "--cacert", &other]), "").await;
    assert_eq!(refused.code, Some(5), "{refused:?}");

    let line = "0123456789abcdef".repeat(1_048_576 / 16);
    let client = run(
        client([url.as_str(), "--cacert", &trusted]),
        format!("admin:123456\n{line}\n"),
    );
    let serve = async {
        peer.accept_login().await;
        assert!(peer.next_text().await == line);
        peer.text("thanks").await;
        assert_eq!(peer.event().await, closed_for(CloseReason::UserExit));
    };
    let (finished, ()) = tokio::join!(client, serve);
    peer.finish().await;
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    assert_eq!(finished.stdout(), "thanks\n");
}
