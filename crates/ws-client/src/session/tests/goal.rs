//! The conditions under which a session ends by itself, and the time limit of a run.

use std::{future::pending, num::NonZeroUsize, time::Duration};

use futures::stream;
use tokio::time::Instant;

use super::harness::{
    EMPTY_INPUT, TIMEOUTS, TestClient, client_of, configured, connected, console_of, open_input,
    outcome, person, run, run_with, script,
};
use crate::{
    config::Goal,
    console::PromptMode,
    exit::Exit,
    session::{
        RunLimit,
        client::run_to_exit,
        session::{ClientSession, LoginPlan, Timeouts},
    },
};

fn count(wanted: usize) -> Goal {
    Goal::Count(NonZeroUsize::new(wanted).unwrap())
}

/// Returns the usual limits, with one of the whole run.
fn limited(span: Duration) -> Timeouts {
    Timeouts {
        run_limit: Some(RunLimit::after(span)),
        ..TIMEOUTS
    }
}

/// More messages arrive, and are not printed: a script gets what it asked for.
#[tokio::test(start_paused = true)]
async fn count_of_messages_ends_the_session() {
    let (connection, mut server) = connected().await;
    let play = async {
        server.accept_login().await;
        for text in ["one", "two", "three"] {
            server.say(text).await;
        }
        server.closed().await
    };
    let (input, _typing) = open_input(b"admin:123456\n").await;
    let client = client_of(input);
    let (found, closed) = tokio::join!(run_with(connection, client, count(2), TIMEOUTS), play);
    assert_eq!(closed.0, 1000);
    assert_eq!(found, outcome(Exit::Ok, "one\ntwo\n", "{welcome}"));
}

/// The input ended an hour before, and the goal replaces the rule of its end.
#[tokio::test(start_paused = true)]
async fn count_outlasts_the_end_of_input() {
    for input in [&b"admin:123456\nhello\n"[..], b"admin:123456\n"] {
        let (connection, mut server) = connected().await;
        let play = async {
            server.accept_login().await;
            tokio::time::sleep(Duration::from_hours(1)).await;
            server.say("late").await;
            server.until_closed().await;
        };
        let client = run_with(connection, script(input), count(1), TIMEOUTS);
        let (found, ()) = tokio::join!(client, play);
        assert_eq!(found, outcome(Exit::Ok, "late\n", "{welcome}"));
    }
}

#[tokio::test(start_paused = true)]
async fn unsent_lines_after_the_count_exit_with_0() {
    let (connection, mut server) = connected().await;
    let play = async {
        server.accept_login().await;
        server.say("enough").await;
        server.until_closed().await;
    };
    let input = [&b"admin:123456\n"[..], &b"x\n".repeat(50_000)].concat();
    let client = run_with(connection, script(&input), count(1), TIMEOUTS);
    let (found, ()) = tokio::join!(client, play);
    assert_eq!((found.exit, &*found.stdout), (Exit::Ok, "enough\n"));
    assert!(
        found.stderr.ends_with(" lines were not sent\n"),
        "{}",
        found.stderr
    );
}

#[tokio::test(start_paused = true)]
async fn fewer_messages_than_counted_exit_with_9() {
    for (code, exit, stderr) in [
        (
            1000,
            Exit::Unmet,
            "the server closed the connection normally, saying \"bye\" (1000, normal end)\n",
        ),
        (
            1011,
            Exit::Closed,
            "the server closed the connection, saying \"bye\" (1011, internal server error)\n",
        ),
    ] {
        let (connection, mut server) = connected().await;
        let play = async {
            server.accept_login().await;
            server.say("one").await;
            server.close(code, "bye").await;
        };
        let client = run_with(connection, script(b"admin:123456\n"), count(3), TIMEOUTS);
        let (found, ()) = tokio::join!(client, play);
        assert_eq!((found.exit, &*found.stdout), (exit, "one\n"));
        let notices = format!("ws-client: {stderr}ws-client: only 1 message of 3 arrived\n");
        assert!(found.stderr.ends_with(&notices), "{}", found.stderr);
    }
}

#[tokio::test(start_paused = true)]
async fn exit_of_a_person_before_the_count_is_unmet() {
    let (connection, mut server) = connected().await;
    let play = async {
        server.accept_login().await;
        server.closed().await;
    };
    let client = run_with(
        connection,
        person(b"admin:123456\nexit\n"),
        count(2),
        TIMEOUTS,
    );
    let (found, ()) = tokio::join!(client, play);
    assert_eq!(found.exit, Exit::Unmet);
    let notice = "ws-client: only 0 messages of 2 arrived\n";
    assert!(found.stderr.ends_with(notice), "{}", found.stderr);
}

#[tokio::test(start_paused = true)]
async fn session_that_stays_ends_with_the_server() {
    for (code, exit) in [(1000, Exit::Ok), (1001, Exit::Closed)] {
        let (connection, mut server) = connected().await;
        let play = async {
            server.accept_login().await;
            assert_eq!(server.text().await, "hello");
            tokio::time::sleep(Duration::from_hours(1)).await;
            server.say("news").await;
            server.close(code, "").await;
        };
        let input = script(b"admin:123456\nhello\n");
        let client = run_with(connection, input, Goal::Stay, TIMEOUTS);
        let (found, ()) = tokio::join!(client, play);
        assert_eq!((found.exit, &*found.stdout), (exit, "news\n"), "{code}");
    }
}

#[tokio::test(start_paused = true)]
async fn time_limit_of_a_session_that_stays_is_success() {
    for (goal, exit) in [(Goal::Stay, Exit::Ok), (count(2), Exit::TimedOut)] {
        let (connection, mut server) = connected().await;
        let began = Instant::now();
        let play = async {
            server.accept_login().await;
            server.say("news").await;
            let closed = server.closed().await;
            (closed.0, began.elapsed())
        };
        let limits = limited(Duration::from_secs(10));
        let client = run_with(connection, script(b"admin:123456\n"), goal, limits);
        let (found, closed) = tokio::join!(client, play);
        assert_eq!(closed, (1000, Duration::from_secs(10)));
        assert_eq!((found.exit, &*found.stdout), (exit, "news\n"));
    }
}

#[tokio::test(start_paused = true)]
async fn time_limit_before_the_goal_exits_with_7() {
    let (connection, mut server) = connected().await;
    let play = async {
        assert_eq!(server.text().await, "admin:123456");
        server.closed().await;
    };
    let limits = limited(Duration::from_secs(10));
    let client = run_with(connection, script(b"admin:123456\n"), Goal::Stay, limits);
    let (found, ()) = tokio::join!(client, play);
    let stderr = "ws-client: the run took longer than 10s (--timeout)\n";
    assert_eq!(found, outcome(Exit::TimedOut, "", stderr));
}

/// Neither the server nor the reader of stdout does anything more.
#[tokio::test(start_paused = true)]
async fn time_limit_holds_for_a_stuck_run() {
    let (connection, mut server) = connected().await;
    let (stdout, _unread) = tokio::io::duplex(1);
    let console = console_of(
        &b"admin:123456\n"[..],
        stdout,
        tokio::io::sink(),
        PromptMode::Off,
    );
    let session = ClientSession::new(connection, console, limited(Duration::from_secs(10)));
    let began = Instant::now();
    let login = LoginPlan::Messages(configured("admin:123456"));
    let running = run_to_exit(session, login, stream::pending());
    let play = async {
        server.accept_login().await;
        server.say("news").await;
        pending::<()>().await;
    };
    let exit = tokio::select! {
        exit = tokio::time::timeout(Duration::from_hours(24), running) => exit.unwrap(),
        () = play => unreachable!("the server does not end"),
    };
    assert_eq!(exit, Exit::TimedOut);
    assert!(
        began.elapsed() <= Duration::from_secs(21),
        "{:?}",
        began.elapsed()
    );
}

/// Former fault: a listener without input ended at once, and said nothing.
#[tokio::test(start_paused = true)]
async fn empty_input_without_a_goal_is_an_error() {
    let with_login = || TestClient {
        login: configured("admin:123456"),
        ..script(b"")
    };
    let (connection, mut server) = connected().await;
    let play = async {
        server.accept_login().await;
        server.closed().await;
    };
    let (found, ()) = tokio::join!(run(connection, with_login()), play);
    let stderr = format!("{{welcome}}{EMPTY_INPUT}");
    assert_eq!(found, outcome(Exit::Usage, "", &stderr));
    // With a goal there is something to wait for.
    let (connection, mut server) = connected().await;
    let play = async {
        server.accept_login().await;
        server.say("news").await;
        server.closed().await;
    };
    let client = run_with(connection, with_login(), count(1), TIMEOUTS);
    let (found, ()) = tokio::join!(client, play);
    assert_eq!(found, outcome(Exit::Ok, "news\n", "{welcome}"));
}
