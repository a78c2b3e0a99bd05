//! Sessions that succeed, and sessions whose login fails.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::stream;
use proto::message::{CONGRATULATION, SORRY};
use tokio::time::Instant;

use super::harness::{
    CapturedOutput, EXIT_NOTICE, FakeEcho, ReadCounter, TIMEOUTS, TestClient, USER_EXIT, client_of,
    configured, connected, console_of, outcome, person, run, script,
};
use crate::{
    config::LoginSource,
    console::{EchoState, PromptMode, Words},
    exit::Exit,
    session::{
        client::run_to_exit,
        session::{ClientSession, LoginPlan},
    },
};

#[tokio::test(start_paused = true)]
async fn pipe_logs_in_sends_messages_and_closes() {
    let (connection, mut server) = connected().await;
    let input = b"bad:1\n\n\nadmin:123456\nhello\r\n\nexit\nnever sent\n";
    let play = async {
        assert_eq!(server.text().await, "bad:1");
        server.say(SORRY).await;
        server.accept_login().await;
        server.echo(2).await;
        assert_eq!(server.closed().await, (1000, "user exit".into()));
    };
    let (found, ()) = tokio::join!(run(connection, script(input)), play);
    assert_eq!(
        found,
        outcome(
            Exit::Usage,
            "your submit context: hello\nyour submit context: \n",
            &format!(
                "{SORRY}\n{{welcome}}you have enter \"exit\", goodbye\n{}",
                EXIT_NOTICE.replace("{count}", "1 line was")
            ),
        )
    );
}

/// A message must not be sent as credentials: it would be shown in a log of wrong names, and use up
/// the failure budget of the address.
#[tokio::test(start_paused = true)]
async fn pipe_with_refused_login_sends_no_message() {
    let (connection, mut server) = connected().await;
    let input = b"admin:wrong\nadmin:12345\n\nhello\nnote: buy milk\nbob:x\n";
    let play = async {
        for line in ["admin:wrong", "admin:12345"] {
            assert_eq!(server.text().await, line);
            server.say(SORRY).await;
        }
        assert_eq!(server.closed().await, (1000, "user exit".into()));
    };
    let (found, ()) = tokio::join!(run(connection, script(input)), play);
    let refused = "ws-client: the login was refused, and the next line of the input is no \
                   name:password\nws-client: 3 lines were not sent\n";
    let stderr = format!("{SORRY}\n{SORRY}\n{refused}");
    assert_eq!(found, outcome(Exit::LoginRefused, "", &stderr));
}

/// With `--literal`, `exit` is a message like any other.
#[tokio::test(start_paused = true)]
async fn literal_exit_is_sent() {
    let (connection, mut server) = connected().await;
    let console = console_of(
        &b"admin:123456\nexit\nhello\n"[..],
        CapturedOutput::default(),
        CapturedOutput::default(),
        PromptMode::Off,
    )
    .with_words(Words::Literal);
    let session = ClientSession::new(connection, console, TIMEOUTS);
    let play = async {
        server.accept_login().await;
        for line in ["exit", "hello"] {
            assert_eq!(server.text().await, line);
            server.say(line).await;
        }
        server.closed().await;
    };
    let run = run_to_exit(
        session,
        LoginPlan::Messages(LoginSource::Ask),
        stream::pending(),
    );
    let (exit, ()) = tokio::join!(run, play);
    assert_eq!(exit, Exit::Ok);
}

#[tokio::test(start_paused = true)]
async fn small_pipe_answers_arrive_in_order() {
    let (connection, mut server) = connected().await;
    let lines: Vec<String> = (0..2000).map(|number| format!("line {number}")).collect();
    let input = format!("admin:123456\n{}\n", lines.join("\n"));
    let play = async {
        server.accept_login().await;
        server.echo(2000).await;
        server.closed().await
    };
    let (found, closed) = tokio::join!(run(connection, script(input.as_bytes())), play);
    assert_eq!(closed, (USER_EXIT.0, USER_EXIT.1.into()));
    let answers: Vec<&str> = found.stdout.lines().collect();
    assert_eq!(answers.len(), 2000);
    for (answer, line) in answers.iter().zip(&lines) {
        assert_eq!(*answer, format!("your submit context: {line}"));
    }
    assert_eq!(found.exit, Exit::Ok);
}

#[tokio::test(start_paused = true)]
async fn pipe_sends_lines_without_awaiting_answers() {
    let (connection, mut server) = connected().await;
    let play = async {
        server.accept_login().await;
        let all = [
            server.text().await,
            server.text().await,
            server.text().await,
        ];
        for text in all {
            server.say(&text).await;
        }
        server.closed().await;
    };
    let (found, ()) = tokio::join!(run(connection, script(b"admin:123456\na\nb\nc")), play);
    assert_eq!(found.stdout, "a\nb\nc\n");
}

#[tokio::test(start_paused = true)]
async fn end_of_input_waits_for_linger_time() {
    let (connection, mut server) = connected().await;
    let play = async {
        server.accept_login().await;
        let _ = (server.text().await, server.text().await);
        for text in ["one", "other"] {
            tokio::time::sleep(Duration::from_millis(900)).await;
            if text == "one" {
                server.say(text).await;
            }
        }
        let quiet = Instant::now();
        server.closed().await;
        quiet.elapsed()
    };
    let (found, waited) = tokio::join!(run(connection, script(b"admin:123456\na\nb\n")), play);
    // The answer arrived 900 ms earlier, and the linger time is one second.
    assert_eq!(waited, Duration::from_millis(100));
    assert_eq!(
        found,
        outcome(
            Exit::Ok,
            "one\n",
            "{welcome}ws-client: 1 message got no answer\n"
        )
    );
}

#[tokio::test(start_paused = true)]
async fn message_during_close_is_shown() {
    let (connection, mut server) = connected().await;
    let play = async {
        server.accept_login().await;
        let text = server.text().await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        server.say(&format!("late {text}")).await;
        server.closed().await;
    };
    let (found, ()) = tokio::join!(run(connection, script(b"admin:123456\na\n")), play);
    assert_eq!(found, outcome(Exit::Ok, "late a\n", "{welcome}"));
}

#[tokio::test(start_paused = true)]
async fn end_of_input_before_login_is_login_refused() {
    let (connection, mut server) = connected().await;
    let play = async {
        assert_eq!(server.text().await, "bad:1");
        server.say(SORRY).await;
        server.closed().await
    };
    let (found, closed) = tokio::join!(run(connection, script(b"bad:1\n")), play);
    assert_eq!(closed.0, 1000);
    assert_eq!(found.exit, Exit::LoginRefused);
    assert!(found.stderr.starts_with(SORRY), "{found:?}");
}

#[tokio::test(start_paused = true)]
async fn configured_login_reads_no_input_before_acceptance() {
    let (connection, mut server) = connected().await;
    let reads = Arc::new(Mutex::new(0));
    let client = TestClient {
        login: configured("admin:654321"),
        ..client_of(ReadCounter(&b"a\n"[..], Arc::clone(&reads)))
    };
    let play = async {
        assert_eq!(server.text().await, "admin:654321");
        server.say(SORRY).await;
        server.closed().await
    };
    let (found, _) = tokio::join!(run(connection, client), play);
    assert_eq!(*reads.lock().unwrap(), 0);
    assert_eq!(found.exit, Exit::LoginRefused);
    assert!(found.stderr.starts_with(SORRY), "{found:?}");
}

#[tokio::test(start_paused = true)]
async fn configured_credentials_need_no_input() {
    let (connection, mut server) = connected().await;
    let client = TestClient {
        login: configured("admin:123456"),
        ..script(b"a\n")
    };
    let play = async {
        server.accept_login().await;
        server.echo(1).await;
        server.closed().await;
    };
    let (found, ()) = tokio::join!(run(connection, client), play);
    assert_eq!(
        found,
        outcome(Exit::Ok, "your submit context: a\n", "{welcome}")
    );
}

#[tokio::test(start_paused = true)]
async fn interactive_refused_configured_login_prompts() {
    let (connection, mut server) = connected().await;
    let echo = FakeEcho::default();
    let client = TestClient {
        login: configured("admin:654321"),
        prompt_mode: PromptMode::On(echo.clone()),
        ..person(b"admin:123456\nhi\nexit\n")
    };
    let play = async {
        assert_eq!(server.text().await, "admin:654321");
        server.say(SORRY).await;
        server.accept_login().await;
        server.echo(1).await;
        server.closed().await;
    };
    let (found, ()) = tokio::join!(run(connection, client), play);
    assert_eq!(
        found,
        outcome(
            Exit::Ok,
            "your submit context: hi\n",
            &format!(
                "{SORRY}\n{{hint}}please enter your username and password: \n{{welcome}}\
                 please enter your context: please enter your context: \
                 you have enter \"exit\", goodbye\n"
            )
        )
    );
    let states = echo.0.lock().unwrap().clone();
    assert_eq!(states[..2], [EchoState::Off, EchoState::On]);
}

/// Former fault: a line without a colon was sent, and cost an attempt.
#[tokio::test(start_paused = true)]
async fn typed_line_without_colon_is_explained() {
    let (connection, mut server) = connected().await;
    let client = person(b"admin\nadmin:123456\nexit\n");
    let play = async {
        server.accept_login().await;
        server.closed().await;
    };
    let (found, ()) = tokio::join!(run(connection, client), play);
    let prompt = "please enter your username and password: \n";
    let stderr = format!(
        "{{hint}}{prompt}ws-client: the line was not sent: credentials are written as \
         username:password\n{prompt}{{welcome}}please enter your context: you have enter \
         \"exit\", goodbye\n"
    );
    assert_eq!(found, outcome(Exit::Ok, "", &stderr));
}

#[tokio::test(start_paused = true)]
async fn piped_first_line_without_colon_is_sent() {
    let (connection, mut server) = connected().await;
    let play = async {
        assert_eq!(server.text().await, "admin");
        server.say(SORRY).await;
        server.accept_login().await;
        server.closed().await;
    };
    let input = script(b"admin\nadmin:123456\n");
    let (found, ()) = tokio::join!(run(connection, input), play);
    let stderr = format!("{SORRY}\n{{welcome}}");
    assert_eq!(found, outcome(Exit::Ok, "", &stderr));
}

#[tokio::test(start_paused = true)]
async fn interactive_exit_at_login_closes() {
    for input in [&b"exit\n"[..], b""] {
        let (connection, mut server) = connected().await;
        let echo = FakeEcho::default();
        let client = TestClient {
            prompt_mode: PromptMode::On(echo.clone()),
            ..person(input)
        };
        let play = async { server.closed().await };
        let (found, closed) = tokio::join!(run(connection, client), play);
        assert_eq!(closed, (1000, "user exit".into()));
        assert_eq!(found.exit, Exit::Ok);
        assert_eq!(found.stderr.contains("goodbye"), !input.is_empty());
        // The echo stays off: the terminal drops typed-ahead input, so that no shell reads it.
        assert_eq!(*echo.0.lock().unwrap(), [EchoState::Off]);
    }
}

#[tokio::test(start_paused = true)]
async fn password_exit_is_sent() {
    let (connection, mut server) = connected().await;
    let client = TestClient {
        login: LoginSource::AskPassword(proto::username::UserName::parse("jane").unwrap()),
        ..person(b"exit\nexit\n")
    };
    let play = async {
        assert_eq!(server.text().await, "jane:exit");
        server.say(CONGRATULATION).await;
        server.closed().await;
    };
    let (found, ()) = tokio::join!(run(connection, client), play);
    assert!(
        found.stderr.starts_with("password for jane: \n"),
        "{}",
        found.stderr
    );
    assert_eq!(found.exit, Exit::Ok);
}
