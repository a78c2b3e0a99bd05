//! Why a session ended, and what that means for whoever started it.

use std::{fmt::Write as _, io, time::Duration};

use proto::{
    close::{CloseCode, CloseReason},
    escape::Escaped,
    message::CredentialsError,
    plural::plural,
};

use crate::{
    connect::ConnectError,
    console::{ConsoleEvent, InputError, Mode, UnsentLines},
    exit::Exit,
    websocket::{CloseFrame, Closed},
};

/// Why a session ended.
#[derive(Debug)]
pub(crate) enum EndReason {
    /// Somebody entered `exit`.
    Exit,
    /// There are no more lines.
    EndOfInput,
    /// A signal, or Ctrl-C.
    Interrupted,
    /// The input cannot be used.
    BadInput(InputError),
    /// The input of a script does not begin with credentials.
    NoCredentials(CredentialsError),
    /// Messages cannot be written.
    OutputFailed(io::Error),
    /// No connection came about.
    ConnectFailed(ConnectError),
    /// The configured credentials were refused.
    LoginRefused,
    /// A room speaks where a login was to come: it lets in whoever comes, and hands on what is sent.
    NoLogin(CredentialsSent),
    /// No answer to credentials came in time.
    LoginTimedOut(Duration),
    /// The server took nothing for too long.
    Stalled(Duration),
    /// The server ended it.
    Server(Closed),
}

/// What others may have seen that was not meant for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CredentialsSent {
    No,
    Yes,
}

impl ConsoleEvent {
    /// The line that came, if one did, or the ending that the turn brings.
    pub(crate) fn line(self) -> Result<Option<String>, EndReason> {
        match self {
            Self::Line(line) => Ok(Some(line)),
            Self::Wrote => Ok(None),
            Self::EndOfInput => Err(EndReason::EndOfInput),
            Self::Interrupted => Err(EndReason::Interrupted),
            Self::BadInput(error) => Err(EndReason::BadInput(error)),
            Self::OutputFailed(error) => Err(EndReason::OutputFailed(error)),
        }
    }
}

/// What came of closing the connection after an ending that was not the server's.
#[derive(Debug, Clone, Copy)]
pub(crate) enum CloseOutcome<'a> {
    /// There was nothing to be closed.
    NotNeeded,
    /// The server ended its side.
    Closed(&'a Closed),
    /// The server did not end its side in time.
    TimedOut,
}

/// How far a session came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    LoggingIn,
    Messaging,
}

/// What became of the messages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct MessageCounts {
    pub(crate) sent: usize,
    pub(crate) answered: usize,
}

impl MessageCounts {
    /// Counts a message that came. What comes while nothing is unanswered is no answer: a server
    /// may speak without being asked.
    pub(crate) fn note_received(&mut self) {
        self.answered = self.sent.min(self.answered + 1);
    }

    /// How many messages got no answer, if each one gets one.
    pub(crate) fn unanswered(self) -> usize {
        self.sent.saturating_sub(self.answered)
    }
}

/// What is known when a session is over.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EndContext {
    pub(crate) mode: Mode,
    pub(crate) stage: Stage,
    pub(crate) counts: MessageCounts,
}

/// How the program ends, and what it says about that.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ExitReport {
    pub(crate) exit: Exit,
    pub(crate) lines: Vec<String>,
}

impl EndReason {
    /// Whether it is worth counting what was not sent. Whoever said `exit` knows of what follows
    /// it; whoever interrupted, or closed the output, wants nothing more.
    pub(crate) fn leaves_lines(&self) -> bool {
        match self {
            Self::Exit | Self::EndOfInput | Self::Interrupted | Self::OutputFailed(_) => false,
            Self::BadInput(_)
            | Self::NoCredentials(_)
            | Self::ConnectFailed(_)
            | Self::LoginRefused
            | Self::NoLogin(_)
            | Self::LoginTimedOut(_)
            | Self::Stalled(_)
            | Self::Server(_) => true,
        }
    }
}

/// Draws the conclusion from an ending, and from the close that followed one of ours.
pub(crate) fn exit_report(
    end_reason: &EndReason,
    close_outcome: CloseOutcome<'_>,
    context: EndContext,
    close_deadline: Duration,
) -> ExitReport {
    let EndContext {
        mode,
        stage,
        counts,
    } = context;
    let mut lines = Vec::new();
    let exit = match end_reason {
        EndReason::EndOfInput if stage == Stage::LoggingIn && mode == Mode::Pipe => {
            lines.push("the input ended before the login succeeded".to_owned());
            Exit::LoginRefused
        }
        EndReason::Exit | EndReason::EndOfInput => {
            let replies_missing = mode == Mode::Pipe && counts.unanswered() > 0;
            after_ours(
                close_outcome,
                replies_missing,
                stage,
                close_deadline,
                &mut lines,
            )
        }
        EndReason::Interrupted => Exit::Interrupted,
        EndReason::BadInput(error) => {
            lines.push(chain(error));
            Exit::Usage
        }
        EndReason::NoCredentials(error) => {
            lines.push(format!(
                "the input does not begin with credentials: {error}"
            ));
            Exit::Usage
        }
        // Whoever reads the messages has seen enough, as `head` does.
        EndReason::OutputFailed(error) if error.kind() == io::ErrorKind::BrokenPipe => {
            return ExitReport {
                exit: Exit::Ok,
                lines,
            };
        }
        EndReason::OutputFailed(error) => {
            lines.push(format!("the messages cannot be written: {error}"));
            Exit::Failure
        }
        EndReason::ConnectFailed(error) => {
            lines.push(chain(error));
            error.exit()
        }
        EndReason::LoginRefused => {
            lines.push("the configured credentials were refused".to_owned());
            Exit::LoginRefused
        }
        EndReason::NoLogin(credentials_sent) => {
            lines.push("the room lets in whoever comes; to talk there, say --auth none".to_owned());
            if *credentials_sent == CredentialsSent::Yes {
                lines.push(
                    "what was sent as credentials may have been shown to others: choose a new \
                     password"
                        .to_owned(),
                );
            }
            Exit::Usage
        }
        EndReason::LoginTimedOut(span) => {
            lines.push(format!(
                "the server did not answer the credentials within {span:?}"
            ));
            Exit::TimedOut
        }
        EndReason::Stalled(span) => {
            lines.push(format!("the server took in nothing for {span:?}"));
            Exit::TimedOut
        }
        EndReason::Server(end) => match by_server(end, stage, &mut lines) {
            // However kindly it left, it left before it had answered.
            Exit::Ok if mode == Mode::Pipe && counts.unanswered() > 0 => Exit::Closed,
            exit => exit,
        },
    };
    let theirs = matches!(end_reason, EndReason::Server(_) | EndReason::Stalled(_));
    if (theirs || mode == Mode::Pipe) && counts.unanswered() > 0 {
        let count = plural(counts.unanswered(), "message", "messages");
        lines.push(format!("{count} got no answer"));
    }
    ExitReport { exit, lines }
}

/// Says how many lines were not sent, if there are any.
pub(crate) fn unsent(unsent_lines: UnsentLines, queued: usize) -> Option<String> {
    let (count, qualifier) = match unsent_lines {
        UnsentLines::Exactly(count) => (count + queued, ""),
        UnsentLines::AtLeast(count) => (count + queued, "at least "),
    };
    let lines = plural(count, "line was", "lines were");
    (count > 0).then(|| format!("{qualifier}{lines} not sent"))
}

/// How the program ends after a Close of our own.
fn after_ours(
    close_outcome: CloseOutcome<'_>,
    replies_missing: bool,
    stage: Stage,
    close_deadline: Duration,
    lines: &mut Vec<String>,
) -> Exit {
    match close_outcome {
        CloseOutcome::NotNeeded => Exit::Ok,
        CloseOutcome::Closed(Closed::ByPeer(CloseFrame { code, .. }))
            if matches!(*code, CloseCode::ABSENT) || *code == CloseReason::UserExit.code() =>
        {
            Exit::Ok
        }
        // All that was wanted had come: it does not matter how a server leaves.
        CloseOutcome::Closed(Closed::Lost(_)) if !replies_missing => Exit::Ok,
        CloseOutcome::Closed(end @ Closed::ByPeer(_)) if !replies_missing => {
            by_server(end, stage, lines);
            Exit::Ok
        }
        CloseOutcome::Closed(end) => by_server(end, stage, lines),
        CloseOutcome::TimedOut => {
            lines.push(format!(
                "the server did not close its side within {close_deadline:?}"
            ));
            if replies_missing {
                Exit::TimedOut
            } else {
                Exit::Ok
            }
        }
    }
}

fn by_server(end: &Closed, stage: Stage, lines: &mut Vec<String>) -> Exit {
    match end {
        Closed::ByPeer(frame) => {
            lines.push(in_words(frame));
            closed(frame.code, stage)
        }
        Closed::Lost(None) => {
            lines.push("the connection was lost: the server ended it without a close frame".into());
            Exit::Closed
        }
        Closed::Lost(Some(error)) => {
            lines.push(format!("the connection was lost: {error}"));
            Exit::Closed
        }
        Closed::ProtocolViolation { reply, detail } => {
            let action = match reply {
                CloseReason::MessageTooBig => "sent more than --max-message-bytes allows",
                _ => "broke the WebSocket protocol",
            };
            let (detail, code, text) = (Escaped(detail), reply.code(), reply.text());
            lines.push(format!(
                "the server {action}: {detail}; closed with {code}, {text}"
            ));
            Exit::Closed
        }
    }
}

/// A server's Close frame in words.
fn in_words(frame: &CloseFrame) -> String {
    let CloseFrame { code, reason } = frame;
    let manner = if *code == CloseReason::UserExit.code() {
        " normally"
    } else {
        ""
    };
    let mut words = match *code {
        CloseCode::ABSENT => "the server closed the connection without a code".to_owned(),
        code => format!(
            "the server closed the connection{manner}: {code}, {}",
            code.words()
        ),
    };
    if !reason.is_empty() {
        write!(words, ", saying \"{}\"", Escaped(reason)).expect("a string takes everything");
    }
    words
}

/// The exit code for a server's close code. Whatever it says before the login succeeded, there was
/// no login.
fn closed(code: CloseCode, stage: Stage) -> Exit {
    match (code.0, stage) {
        (3008, _) => Exit::TimedOut,
        (1000 | 3000 | 3003, Stage::LoggingIn) => Exit::LoginRefused,
        (1000, Stage::Messaging) => Exit::Ok,
        (_, _) => Exit::Closed,
    }
}

/// An error with its sources.
fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", chain(source)),
        None => error.to_string(),
    }
}
