use std::{io, time::Duration};

use proto::close::{CloseCode, CloseReason};

use crate::{
    config::Goal,
    connect::ConnectError,
    console::{InputError, Mode, Notice, Unit, UnsentLines},
    exit::Exit,
    session::outcome::{
        CloseOutcome, EndContext, EndReason, MessageCounts, Stage, exit_report, unsent,
    },
    websocket::{CloseFrame, Closed},
};

const SCRIPT: EndContext = EndContext {
    mode: Mode::Pipe,
    stage: Stage::Messaging,
    counts: MessageCounts {
        sent: 3,
        answered: 3,
    },
    received: 3,
    goal: Goal::AllAnswered(Duration::from_secs(1)),
};

const PERSON: EndContext = EndContext {
    mode: Mode::Interactive,
    ..SCRIPT
};

fn with_missing_replies(context: EndContext) -> EndContext {
    let counts = MessageCounts {
        sent: 3,
        answered: 1,
    };
    EndContext { counts, ..context }
}

fn before_login(context: EndContext) -> EndContext {
    EndContext {
        stage: Stage::LoggingIn,
        counts: MessageCounts::default(),
        ..context
    }
}

fn close(code: u16, reason: &str) -> Closed {
    Closed::ByPeer(CloseFrame {
        code: CloseCode(code),
        reason: reason.into(),
    })
}

/// Joins the words of the notices, without the name of the program.
fn words(notices: &[Notice<'_>]) -> String {
    let words = notices.iter().map(Notice::words);
    let words: Vec<String> = words
        .map(|words| words.replace("ws-client: ", ""))
        .collect();
    words.join("; ")
}

fn report_of(
    end_reason: &EndReason,
    close_outcome: Option<&Closed>,
    context: EndContext,
) -> (Exit, String) {
    let close_outcome = close_outcome.map_or(CloseOutcome::TimedOut, CloseOutcome::Closed);
    let report = exit_report(end_reason, close_outcome, context, Duration::from_secs(5));
    (report.exit, words(&report.notices))
}

#[test]
fn server_close_is_quoted_and_mapped() {
    for (code, reason, context, exit, lines) in [
        (
            1000,
            "",
            SCRIPT,
            Exit::Ok,
            "the server closed the connection normally: 1000, normal end",
        ),
        (
            1001,
            "bye\x1b[2J",
            SCRIPT,
            Exit::Closed,
            // Row: the table's words came before the server's reason, and repeated it.
            "the server closed the connection, saying \"bye\\u{1b}[2J\" (1001, going away)",
        ),
        (
            1005,
            "",
            PERSON,
            Exit::Closed,
            "the server closed the connection without a code",
        ),
        (
            3000,
            "",
            before_login(SCRIPT),
            Exit::LoginRefused,
            "the server closed the connection: 3000, unauthorized",
        ),
        (
            3000,
            "",
            SCRIPT,
            Exit::Closed,
            "the server closed the connection: 3000, unauthorized",
        ),
        (
            3008,
            "login timeout",
            before_login(PERSON),
            Exit::TimedOut,
            "the server closed the connection, saying \"login timeout\" (3008)",
        ),
        (
            1011,
            "",
            with_missing_replies(PERSON),
            Exit::Closed,
            "the server closed the connection: 1011, internal server error; 2 messages got no \
             answer",
        ),
    ] {
        let found = report_of(&EndReason::Server(close(code, reason)), None, context);
        assert_eq!(found, (exit, lines.to_owned()));
    }
}

#[test]
fn connection_end_without_close_is_lost() {
    let reset = io::Error::from(io::ErrorKind::ConnectionReset);
    for (end, lines) in [
        (
            Closed::Lost(None),
            "the connection was lost: the server ended it without a close frame",
        ),
        (
            Closed::Lost(Some(reset)),
            "the connection was lost: connection reset",
        ),
        (
            Closed::ProtocolViolation {
                reply: CloseReason::ProtocolError,
                detail: "masked\x07".into(),
            },
            "the server broke the WebSocket protocol: masked\\u{7}; closed with 1002",
        ),
        (
            Closed::ProtocolViolation {
                reply: CloseReason::MessageTooBig,
                detail: "2 > 1".into(),
            },
            "the server sent more than --max-message allows: 2 > 1; closed with 1009",
        ),
    ] {
        let found = report_of(&EndReason::Server(end), None, PERSON);
        assert_eq!(found, (Exit::Closed, lines.to_owned()));
    }
}

#[test]
fn finished_client_exits_silently() {
    let normal = close(1000, "user exit");
    for context in [SCRIPT, PERSON, with_missing_replies(PERSON)] {
        for close_outcome in [&normal, &close(1005, ""), &Closed::Lost(None)] {
            let found = report_of(&EndReason::Exit, Some(close_outcome), context);
            assert_eq!(found, (Exit::Ok, String::new()));
        }
    }
    let found = report_of(
        &EndReason::EndOfInput,
        Some(&normal),
        with_missing_replies(SCRIPT),
    );
    assert_eq!(found, (Exit::Ok, "2 messages got no answer".into()));
}

#[test]
fn finished_client_ignores_how_the_server_closes() {
    let going = close(1001, "");
    let lines = "the server closed the connection: 1001, going away";
    let found = report_of(&EndReason::Exit, Some(&going), SCRIPT);
    assert_eq!(found, (Exit::Ok, lines.to_owned()));
    let found = report_of(&EndReason::Exit, Some(&going), with_missing_replies(SCRIPT));
    let lines = format!("{lines}; 2 messages got no answer");
    assert_eq!(found, (Exit::Closed, lines));
    let late = "the server did not close its side within 5s";
    let found = report_of(&EndReason::Exit, None, SCRIPT);
    assert_eq!(found, (Exit::Ok, late.to_owned()));
    let found = report_of(&EndReason::Exit, None, with_missing_replies(SCRIPT));
    assert_eq!(
        found,
        (Exit::TimedOut, format!("{late}; 2 messages got no answer"))
    );
}

#[test]
fn other_end_reasons_have_their_exit_codes() {
    let span = Duration::from_secs(30);
    let full = io::Error::from(io::ErrorKind::StorageFull);
    let pipe = io::Error::from(io::ErrorKind::BrokenPipe);
    let input = InputError::NotUtf8 {
        unit: Unit::Line,
        line: 7,
    };
    for (end_reason, context, exit, lines) in [
        (
            EndReason::EndOfInput,
            before_login(SCRIPT),
            Exit::LoginRefused,
            "the input ended before the login succeeded",
        ),
        (EndReason::Exit, before_login(SCRIPT), Exit::Ok, ""),
        (EndReason::EndOfInput, before_login(PERSON), Exit::Ok, ""),
        (EndReason::Interrupted, SCRIPT, Exit::Interrupted, ""),
        (
            EndReason::BadInput(input),
            SCRIPT,
            Exit::Usage,
            "line 7 of the input is not UTF-8",
        ),
        (
            EndReason::OutputFailed(pipe),
            with_missing_replies(SCRIPT),
            Exit::Ok,
            "",
        ),
        (
            EndReason::OutputFailed(full),
            SCRIPT,
            Exit::Failure,
            "the messages cannot be written: no storage space",
        ),
        (
            EndReason::LoginRefused,
            before_login(SCRIPT),
            Exit::LoginRefused,
            "the configured credentials were refused",
        ),
        (
            EndReason::LoginTimedOut(span),
            before_login(SCRIPT),
            Exit::TimedOut,
            "the server did not answer the credentials within 30s",
        ),
        (
            EndReason::Stalled(span),
            with_missing_replies(PERSON),
            Exit::TimedOut,
            "the server accepted no data for 30s; 2 messages got no answer",
        ),
    ] {
        let normal = close(1000, "");
        let found = report_of(&end_reason, Some(&normal), context);
        assert_eq!(found, (exit, lines.to_owned()), "{end_reason:?}");
    }
}

#[test]
fn unsent_lines_are_counted() {
    for (unsent_lines, queued, lines) in [
        (UnsentLines::Exactly(0), 0, None),
        (UnsentLines::AtLeast(0), 0, None),
        (UnsentLines::Exactly(0), 1, Some("1 line was not sent")),
        (UnsentLines::Exactly(2), 1, Some("3 lines were not sent")),
        (
            UnsentLines::AtLeast(5),
            0,
            Some("at least 5 lines were not sent"),
        ),
    ] {
        let unsent = unsent(unsent_lines, queued).map(Notice::Unsent);
        assert_eq!(unsent.map(|unsent| words(&[unsent])).as_deref(), lines);
    }
}

#[test]
fn failed_connection_needs_no_close() {
    for (end_reason, context, exit, lines) in [
        (
            EndReason::ConnectFailed(ConnectError::TimedOut {
                authority: "a:1".into(),
                span: Duration::from_secs(10),
            }),
            SCRIPT,
            Exit::TimedOut,
            "could not connect to a:1 within 10s",
        ),
        (
            EndReason::ConnectFailed(ConnectError::Tcp {
                authority: "a:1".into(),
                source: io::Error::other("refused"),
            }),
            PERSON,
            Exit::Unreachable,
            "could not connect to a:1: refused",
        ),
        (EndReason::Exit, SCRIPT, Exit::Ok, ""),
        (EndReason::EndOfInput, PERSON, Exit::Ok, ""),
        (
            EndReason::EndOfInput,
            SCRIPT,
            Exit::LoginRefused,
            "the input ended before the login succeeded",
        ),
        (EndReason::Interrupted, PERSON, Exit::Interrupted, ""),
    ] {
        let context = before_login(context);
        let report = exit_report(
            &end_reason,
            CloseOutcome::NotNeeded,
            context,
            Duration::from_secs(5),
        );
        let found = (report.exit, words(&report.notices));
        assert_eq!(found, (exit, lines.to_owned()), "{end_reason:?}");
    }
}
