//! The forms of messages in a pipe.

use std::time::Duration;

use futures::{SinkExt as _, StreamExt as _, stream};
use tokio::{
    io::{AsyncRead, AsyncWriteExt as _, DuplexStream},
    time::Instant,
};
use tokio_tungstenite::tungstenite::{Bytes, Message};

use super::harness::{
    CapturedOutput, LINGER, RunOutcome, TIMEOUTS, connected, console_of, open_input, outcome,
};
use crate::{
    config::LoginSource,
    console::{PromptMode, Records},
    exit::Exit,
    session::{
        client::run_to_exit,
        session::{ClientSession, LoginPlan},
    },
    websocket::Connection,
};

/// Runs a pipe with messages of this form.
async fn run_records(
    connection: Connection<DuplexStream>,
    input: impl AsyncRead + Unpin,
    records: Records,
) -> RunOutcome {
    let (stdout, stderr) = (CapturedOutput::default(), CapturedOutput::default());
    let console = console_of(input, stdout.clone(), stderr.clone(), PromptMode::Off);
    let console = console.with_records(records);
    let session = ClientSession::new(connection, console, TIMEOUTS);
    let login = LoginPlan::Messages(LoginSource::Ask);
    let running = run_to_exit(session, login, stream::pending());
    let exit = tokio::time::timeout(Duration::from_hours(24), running).await;
    RunOutcome {
        exit: exit.expect("the session ends"),
        stdout: stdout.text(),
        stderr: stderr.text(),
    }
}

/// The login is a line, and every byte behind it is data: also a word, and half a character.
#[tokio::test(start_paused = true)]
async fn raw_stream_is_sent_as_it_is_read() {
    let (connection, mut server) = connected().await;
    let (input, mut typing) = open_input(b"admin:123456\r\n\xef\xbb\xbfa\r\n").await;
    let play = async {
        server.accept_login().await;
        let first = server.0.next().await.unwrap().unwrap();
        assert_eq!(first, Message::binary(&b"\xef\xbb\xbfa\r\n"[..]));
        typing.write_all(b"exit\n\0\xff").await.unwrap();
        let second = server.0.next().await.unwrap().unwrap();
        assert_eq!(second, Message::binary(&b"exit\n\0\xff"[..]));
        server.0.send(Message::binary(&b"b\0\n"[..])).await.unwrap();
        server.say("text").await;
        drop(typing);
        // The count of messages says nothing about a stream, so its end is a silence.
        tokio::time::sleep(LINGER.mul_f64(0.9)).await;
        server.say(" tail").await;
        let quiet = Instant::now();
        assert_eq!(server.closed().await.0, 1000);
        assert_eq!(quiet.elapsed(), LINGER);
    };
    let (found, ()) = tokio::join!(run_records(connection, input, Records::Raw), play);
    assert_eq!(found, outcome(Exit::Ok, "b\0\ntext tail", "{welcome}"));
}

/// Bytes that were not sent are no lines, and a normal close is the end of a stream.
#[tokio::test(start_paused = true)]
async fn normal_close_of_a_raw_stream_is_success() {
    for (code, exit) in [(1000, Exit::Ok), (1011, Exit::Closed)] {
        let (connection, mut server) = connected().await;
        let (input, _typing) = open_input(b"admin:123456\nabc").await;
        let play = async {
            server.accept_login().await;
            server.0.next().await.unwrap().unwrap();
            server.close(code, "").await;
        };
        let (found, ()) = tokio::join!(run_records(connection, input, Records::Raw), play);
        assert_eq!(found.exit, exit, "{found:?}");
        assert!(!found.stderr.contains("no answer"), "{found:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn records_end_with_nul_in_both_directions() {
    let (connection, mut server) = connected().await;
    let input = b"admin:123456\0two\r\nlines\r\0exit\0\0last";
    let play = async {
        server.accept_login().await;
        for expected in ["two\r\nlines\r", "exit", "", "last"] {
            let text = server.text().await;
            assert_eq!(text, expected);
            server.say(&text).await;
        }
        server.closed().await;
    };
    let (found, ()) = tokio::join!(run_records(connection, &input[..], Records::Null), play);
    let stdout = "two\r\nlines\r\0exit\0\0last\0";
    assert_eq!(found, outcome(Exit::Ok, stdout, "{welcome}"));
}

#[tokio::test(start_paused = true)]
async fn record_that_is_no_text_is_named_by_its_number() {
    let (connection, mut server) = connected().await;
    let play = async {
        server.accept_login().await;
        server.closed().await;
    };
    let input = &b"admin:123456\0\xff\0"[..];
    let (found, ()) = tokio::join!(run_records(connection, input, Records::Null), play);
    assert_eq!(found.exit, Exit::Usage);
    let notice = "ws-client: record 2 of the input is not UTF-8\n";
    assert!(found.stderr.contains(notice), "{}", found.stderr);
}

#[tokio::test(start_paused = true)]
async fn binary_message_among_lines_is_unchanged() {
    let (connection, mut server) = connected().await;
    let play = async {
        server.accept_login().await;
        server.text().await;
        server.0.send(Message::binary(&b"\0x"[..])).await.unwrap();
        server.closed().await;
    };
    let input = &b"admin:123456\nhello\n"[..];
    let (found, ()) = tokio::join!(run_records(connection, input, Records::Lines), play);
    assert_eq!(found, outcome(Exit::Ok, "\0x", "{welcome}"));
}

#[tokio::test(start_paused = true)]
async fn object_of_the_input_is_an_action() {
    let (connection, mut server) = connected().await;
    let input = concat!(
        "admin:123456\n{\"send\":\"exit\\n\"}\n{\"send_base64\":\"AP8=\"}\n{\"ping\":\"hi\"}\n",
        "{\"close\":4000,\"reason\":\"done\"}\n"
    );
    let play = async {
        server.accept_login().await;
        assert_eq!(server.text().await, "exit\n");
        let binary = server.0.next().await.unwrap().unwrap();
        assert_eq!(binary, Message::binary(&b"\0\xff"[..]));
        let ping = server.0.next().await.unwrap().unwrap();
        assert_eq!(ping, Message::Ping(Bytes::from_static(b"hi")));
        assert_eq!(server.closed().await, (4000, "done".to_owned()));
    };
    let found = run_records(connection, input.as_bytes(), Records::Json);
    let (found, ()) = tokio::join!(found, play);
    let notice = "{welcome}ws-client: 2 messages got no answer\n";
    assert_eq!(found, outcome(Exit::Ok, "", notice));
}

/// The end of the input waits for the pong, as for an answer.
#[tokio::test(start_paused = true)]
async fn pong_is_awaited_at_the_end_of_input() {
    let (connection, mut server) = connected().await;
    let play = async {
        server.accept_login().await;
        let ping = server.0.next().await.unwrap().unwrap();
        assert_eq!(ping, Message::Ping(Bytes::from_static(b"hi")));
        let asked = Instant::now();
        tokio::time::sleep(LINGER / 2).await;
        server.0.flush().await.unwrap();
        assert_eq!(server.closed().await.0, 1000);
        asked.elapsed()
    };
    let input = &b"admin:123456\n{\"ping\":\"hi\"}\n"[..];
    let (found, waited) = tokio::join!(run_records(connection, input, Records::Json), play);
    assert_eq!(found, outcome(Exit::Ok, "", "{welcome}"));
    assert_eq!(waited, LINGER / 2);
}

#[tokio::test(start_paused = true)]
async fn wrong_object_exits_with_2_and_its_line() {
    let (connection, mut server) = connected().await;
    let play = async {
        server.accept_login().await;
        server.echo(1).await;
        server.closed().await;
    };
    let input = &b"admin:123456\n{\"send\":\"a\"}\nhello\n{\"send\":\"b\"}\n"[..];
    let (found, ()) = tokio::join!(run_records(connection, input, Records::Json), play);
    let notices = "{welcome}ws-client: line 3 of the input is no object of --json-input: expected \
                   value at line 1 column 1\nws-client: 2 lines were not sent\n";
    let stdout = "your submit context: a\n";
    assert_eq!(found, outcome(Exit::Usage, stdout, notices));
}
