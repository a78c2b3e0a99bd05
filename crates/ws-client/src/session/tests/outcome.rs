use std::{io, time::Duration};

use proto::close::{CloseCode, CloseReason};

use crate::{
    connect::ConnectError,
    console::{Audience, InputError, Leftover},
    exit::Exit,
    session::outcome::{
        Circumstances, Conclusion, Ending, Parting, Stage, Tally, conclude, unsent,
    },
    websocket::{End, Farewell},
};

const SCRIPT: Circumstances = Circumstances {
    audience: Audience::Script,
    stage: Stage::Messaging,
    tally: Tally {
        sent: 3,
        answered: 3,
    },
};

const PERSON: Circumstances = Circumstances {
    audience: Audience::Person,
    ..SCRIPT
};

fn lacking(circumstances: Circumstances) -> Circumstances {
    let tally = Tally {
        sent: 3,
        answered: 1,
    };
    Circumstances {
        tally,
        ..circumstances
    }
}

fn before_login(circumstances: Circumstances) -> Circumstances {
    Circumstances {
        stage: Stage::LoggingIn,
        tally: Tally::default(),
        ..circumstances
    }
}

fn close(code: u16, reason: &str) -> End {
    End::Closed(Farewell {
        code: CloseCode(code),
        reason: reason.into(),
    })
}

fn concluded(ending: &Ending, parting: Option<&End>, known: Circumstances) -> (Exit, String) {
    let parting = parting.map_or(Parting::Late, Parting::Ended);
    let Conclusion { exit, said } = conclude(ending, parting, known, Duration::from_secs(5));
    (exit, said.join("; "))
}

#[test]
fn a_server_that_closes_is_quoted_and_mapped() {
    for (code, reason, known, exit, said) in [
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
            "the server closed the connection: 1001, it is going away, saying \
             \"bye\\u{1b}[2J\"",
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
            "the server closed the connection: 3000, not authorized, or no longer",
        ),
        (
            3000,
            "",
            SCRIPT,
            Exit::Closed,
            "the server closed the connection: 3000, not authorized, or no longer",
        ),
        (
            3008,
            "login timeout",
            before_login(PERSON),
            Exit::TimedOut,
            "the server closed the connection: 3008, time-out, saying \"login timeout\"",
        ),
        (
            1011,
            "",
            lacking(PERSON),
            Exit::Closed,
            "the server closed the connection: 1011, the server failed; 2 messages got no \
             answer",
        ),
    ] {
        let found = concluded(&Ending::Server(close(code, reason)), None, known);
        assert_eq!(found, (exit, said.to_owned()));
    }
}

#[test]
fn a_connection_that_ends_otherwise_is_lost() {
    let reset = io::Error::from(io::ErrorKind::ConnectionReset);
    for (end, said) in [
        (
            End::Lost(None),
            "the connection was lost: the server ended it without a close frame",
        ),
        (
            End::Lost(Some(reset)),
            "the connection was lost: connection reset",
        ),
        (
            End::Broken {
                tell: CloseReason::ProtocolError,
                what: "masked\x07".into(),
            },
            "the server broke the WebSocket protocol: masked\\u{7}; closed with 1002, protocol \
             error",
        ),
        (
            End::Broken {
                tell: CloseReason::MessageTooBig,
                what: "2 > 1".into(),
            },
            "the server sent more than --max-message-bytes allows: 2 > 1; closed with 1009, \
             message too big",
        ),
    ] {
        let found = concluded(&Ending::Server(end), None, PERSON);
        assert_eq!(found, (Exit::Closed, said.to_owned()));
    }
}

#[test]
fn who_is_done_leaves_quietly() {
    let normal = close(1000, "user exit");
    for known in [SCRIPT, PERSON, lacking(PERSON)] {
        for parting in [&normal, &close(1005, ""), &End::Lost(None)] {
            let found = concluded(&Ending::Exit, Some(parting), known);
            assert_eq!(found, (Exit::Ok, String::new()));
        }
    }
    let found = concluded(&Ending::EndOfInput, Some(&normal), lacking(SCRIPT));
    assert_eq!(found, (Exit::Ok, "2 messages got no answer".into()));
}

#[test]
fn who_is_done_need_not_care_how_the_server_leaves() {
    let going = close(1001, "");
    let said = "the server closed the connection: 1001, it is going away";
    let found = concluded(&Ending::Exit, Some(&going), SCRIPT);
    assert_eq!(found, (Exit::Ok, said.to_owned()));
    let found = concluded(&Ending::Exit, Some(&going), lacking(SCRIPT));
    let said = format!("{said}; 2 messages got no answer");
    assert_eq!(found, (Exit::Closed, said));
    let late = "the server did not close its side within 5s";
    let found = concluded(&Ending::Exit, None, SCRIPT);
    assert_eq!(found, (Exit::Ok, late.to_owned()));
    let found = concluded(&Ending::Exit, None, lacking(SCRIPT));
    assert_eq!(
        found,
        (Exit::TimedOut, format!("{late}; 2 messages got no answer"))
    );
}

#[test]
fn the_other_endings_have_their_codes() {
    let span = Duration::from_secs(30);
    let full = io::Error::from(io::ErrorKind::StorageFull);
    let pipe = io::Error::from(io::ErrorKind::BrokenPipe);
    let input = InputError::NotUtf8 { line: 7 };
    for (ending, known, exit, said) in [
        (
            Ending::EndOfInput,
            before_login(SCRIPT),
            Exit::LoginRefused,
            "the input ended before the login succeeded",
        ),
        (Ending::Exit, before_login(SCRIPT), Exit::Ok, ""),
        (Ending::EndOfInput, before_login(PERSON), Exit::Ok, ""),
        (Ending::Interrupted, SCRIPT, Exit::Interrupted, ""),
        (
            Ending::BadInput(input),
            SCRIPT,
            Exit::Usage,
            "line 7 of the input is not UTF-8",
        ),
        (Ending::OutputFailed(pipe), lacking(SCRIPT), Exit::Ok, ""),
        (
            Ending::OutputFailed(full),
            SCRIPT,
            Exit::Failure,
            "the messages cannot be written: no storage space",
        ),
        (
            Ending::Refused,
            before_login(SCRIPT),
            Exit::LoginRefused,
            "the configured credentials were refused",
        ),
        (
            Ending::Silent(span),
            before_login(SCRIPT),
            Exit::TimedOut,
            "the server did not answer the credentials within 30s",
        ),
        (
            Ending::Stalled(span),
            lacking(PERSON),
            Exit::TimedOut,
            "the server took in nothing for 30s; 2 messages got no answer",
        ),
    ] {
        let normal = close(1000, "");
        let found = concluded(&ending, Some(&normal), known);
        assert_eq!(found, (exit, said.to_owned()), "{ending:?}");
    }
}

#[test]
fn lines_that_were_not_sent_are_counted() {
    for (leftover, queued, said) in [
        (Leftover::Exactly(0), 0, None),
        (Leftover::AtLeast(0), 0, None),
        (Leftover::Exactly(0), 1, Some("1 line was not sent")),
        (Leftover::Exactly(2), 1, Some("3 lines were not sent")),
        (
            Leftover::AtLeast(5),
            0,
            Some("at least 5 lines were not sent"),
        ),
    ] {
        assert_eq!(unsent(leftover, queued).as_deref(), said);
    }
}

#[test]
fn without_a_connection_nothing_is_closed() {
    for (ending, known, exit, said) in [
        (
            Ending::NoConnection(ConnectError::TimedOut {
                authority: "a:1".into(),
                span: Duration::from_secs(10),
            }),
            SCRIPT,
            Exit::TimedOut,
            "could not connect to a:1 within 10s",
        ),
        (
            Ending::NoConnection(ConnectError::Tcp {
                authority: "a:1".into(),
                source: io::Error::other("refused"),
            }),
            PERSON,
            Exit::Unreachable,
            "could not connect to a:1: refused",
        ),
        (Ending::Exit, SCRIPT, Exit::Ok, ""),
        (Ending::EndOfInput, PERSON, Exit::Ok, ""),
        (
            Ending::EndOfInput,
            SCRIPT,
            Exit::LoginRefused,
            "the input ended before the login succeeded",
        ),
        (Ending::Interrupted, PERSON, Exit::Interrupted, ""),
    ] {
        let known = before_login(known);
        let conclusion = conclude(&ending, Parting::Unneeded, known, Duration::from_secs(5));
        let found = (conclusion.exit, conclusion.said.join("; "));
        assert_eq!(found, (exit, said.to_owned()), "{ending:?}");
    }
}
