//! The reason why a session ended, with its exit code and its error messages.

use std::{io, time::Duration};

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

/// The reason why a session ended.
#[derive(Debug)]
pub(crate) enum EndReason {
    /// The user entered `exit`.
    Exit,
    /// The input ended.
    EndOfInput,
    /// A signal arrived, or Ctrl-C was pressed.
    Interrupted,
    /// The input cannot be read any further.
    BadInput(InputError),
    /// The piped input does not begin with credentials.
    NoCredentials(CredentialsError),
    /// Messages cannot be written to stdout.
    OutputFailed(io::Error),
    /// No connection could be opened.
    ConnectFailed(ConnectError),
    /// The server refused the configured credentials.
    LoginRefused,
    /// The server refused the credentials of a pipe, and the next line is no other login attempt.
    NoFurtherCredentials,
    /// A room message arrived during the login. The room needs no login and forwards everything
    /// that is sent to it.
    NoLogin(CredentialsSent),
    /// The server did not answer the credentials in time.
    LoginTimedOut(Duration),
    /// The server read nothing for this long.
    Stalled(Duration),
    /// The connection ended without a request from the client.
    Server(Closed),
}

/// The exposure of credentials to a server that may have shown them to others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CredentialsSent {
    No,
    Yes,
}

impl ConsoleEvent {
    /// Returns the line that was read, if any.
    ///
    /// # Errors
    ///
    /// Returns the end reason that the event brings.
    pub(crate) fn line(self) -> Result<Option<String>, EndReason> {
        match self {
            Self::Line(line) => Ok(Some(line)),
            Self::Wrote => Ok(None),
            Self::Exit => Err(EndReason::Exit),
            Self::EndOfInput => Err(EndReason::EndOfInput),
            Self::Interrupted => Err(EndReason::Interrupted),
            Self::BadInput(error) => Err(EndReason::BadInput(error)),
            Self::OutputFailed(error) => Err(EndReason::OutputFailed(error)),
        }
    }
}

/// The outcome of a closing handshake that the client started.
#[derive(Debug, Clone, Copy)]
pub(crate) enum CloseOutcome<'a> {
    /// The connection was already closed.
    NotNeeded,
    /// The server closed its side.
    Closed(&'a Closed),
    /// The server did not close its side in time.
    TimedOut,
}

/// The phase of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    LoggingIn,
    Messaging,
}

/// The numbers of messages that were sent and answered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct MessageCounts {
    pub(crate) sent: usize,
    pub(crate) answered: usize,
}

impl MessageCounts {
    /// Counts a received message as an answer. A message that arrives while nothing is unanswered
    /// is unsolicited and not counted.
    pub(crate) fn note_received(&mut self) {
        self.answered = self.sent.min(self.answered + 1);
    }

    /// Returns the number of messages without an answer, for a server that sends one answer to
    /// each.
    pub(crate) fn unanswered(self) -> usize {
        self.sent.saturating_sub(self.answered)
    }
}

/// The state of a session at its end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EndContext {
    pub(crate) mode: Mode,
    pub(crate) stage: Stage,
    pub(crate) counts: MessageCounts,
}

/// The exit code and the lines that are printed before it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ExitReport {
    pub(crate) exit: Exit,
    pub(crate) lines: Vec<String>,
}

impl EndReason {
    /// Returns true if the unsent lines are worth counting. They are not after an interrupt, a closed
    /// output, or `exit` of a person: the user asked for the end. In a pipe, `exit` before the end of
    /// the input may be data.
    pub(crate) fn leaves_lines(&self, mode: Mode) -> bool {
        match self {
            Self::Exit => mode == Mode::Pipe,
            Self::EndOfInput | Self::Interrupted | Self::OutputFailed(_) => false,
            Self::BadInput(_)
            | Self::NoCredentials(_)
            | Self::NoFurtherCredentials
            | Self::ConnectFailed(_)
            | Self::LoginRefused
            | Self::NoLogin(_)
            | Self::LoginTimedOut(_)
            | Self::Stalled(_)
            | Self::Server(_) => true,
        }
    }
}

/// Returns the exit code and the lines to print for this end of a session.
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
            after_client_close(
                close_outcome,
                replies_missing,
                stage,
                close_deadline,
                &mut lines,
            )
        }
        EndReason::Interrupted => Exit::Interrupted,
        EndReason::BadInput(error) => {
            lines.push(with_sources(error));
            Exit::Usage
        }
        EndReason::NoCredentials(error) => {
            lines.push(format!(
                "the input does not begin with credentials: {error}"
            ));
            Exit::Usage
        }
        // The reader of stdout has read enough, as `head` does.
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
            lines.push(with_sources(error));
            error.exit()
        }
        EndReason::LoginRefused => {
            lines.push("the configured credentials were refused".to_owned());
            Exit::LoginRefused
        }
        EndReason::NoFurtherCredentials => {
            lines.push(
                "the login was refused, and the next line of the input is no name:password"
                    .to_owned(),
            );
            Exit::LoginRefused
        }
        EndReason::NoLogin(credentials_sent) => {
            lines.push("the room needs no login; use --auth none to join it".to_owned());
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
            lines.push(format!("the server accepted no data for {span:?}"));
            Exit::TimedOut
        }
        EndReason::Server(end) => match after_server_close(end, stage, &mut lines) {
            // A normal close is an error if answers are missing.
            Exit::Ok if mode == Mode::Pipe && counts.unanswered() > 0 => Exit::Closed,
            exit => exit,
        },
    };
    let by_server = matches!(end_reason, EndReason::Server(_) | EndReason::Stalled(_));
    if (by_server || mode == Mode::Pipe) && counts.unanswered() > 0 {
        let count = plural(counts.unanswered(), "message", "messages");
        lines.push(format!("{count} got no answer"));
    }
    ExitReport { exit, lines }
}

/// Returns the line about input that was not sent, if there is any.
pub(crate) fn unsent(unsent_lines: UnsentLines, queued: usize) -> Option<String> {
    let (count, qualifier) = match unsent_lines {
        UnsentLines::Exactly(count) => (count + queued, ""),
        UnsentLines::AtLeast(count) => (count + queued, "at least "),
    };
    let lines = plural(count, "line was", "lines were");
    (count > 0).then(|| format!("{qualifier}{lines} not sent"))
}

/// Returns the exit code after a closing handshake that the client started.
fn after_client_close(
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
        // All answers had been received: how the server closes does not matter.
        CloseOutcome::Closed(Closed::Lost(_)) if !replies_missing => Exit::Ok,
        CloseOutcome::Closed(end @ (Closed::ByPeer(_) | Closed::InvalidCode(_)))
            if !replies_missing =>
        {
            after_server_close(end, stage, lines);
            Exit::Ok
        }
        CloseOutcome::Closed(end) => after_server_close(end, stage, lines),
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

fn after_server_close(end: &Closed, stage: Stage, lines: &mut Vec<String>) -> Exit {
    match end {
        Closed::ByPeer(frame) => {
            lines.push(describe(frame));
            exit_for(frame.code, stage)
        }
        Closed::InvalidCode(code) => {
            let reply = CloseReason::ProtocolError.code();
            lines.push(format!(
                "the server broke the WebSocket protocol: it sent close code {code}, which must \
                 not be sent; closed with {reply}"
            ));
            Exit::Closed
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
            let (detail, code) = (Escaped(detail), reply.code());
            lines.push(format!("the server {action}: {detail}; closed with {code}"));
            Exit::Closed
        }
    }
}

/// Describes a Close frame of the server. Its own reason comes first, and the meaning of the code only if
/// the reason does not contain it.
fn describe(frame: &CloseFrame) -> String {
    let CloseFrame { code, reason } = frame;
    let manner = if *code == CloseReason::UserExit.code() {
        " normally"
    } else {
        ""
    };
    let meaning = code.description();
    match *code {
        CloseCode::ABSENT => "the server closed the connection without a code".to_owned(),
        code if reason.is_empty() => {
            format!("the server closed the connection{manner}: {code}, {meaning}")
        }
        code => {
            let is_repeated = reason.to_lowercase().contains(&meaning.to_lowercase());
            let meaning = if is_repeated { "" } else { meaning };
            let separator = if is_repeated { "" } else { ", " };
            format!(
                "the server closed the connection{manner}, saying \"{}\" ({code}{separator}{meaning})",
                Escaped(reason)
            )
        }
    }
}

/// Returns the exit code for a close code of the server. Before the login succeeded, a normal close
/// means a refused login.
fn exit_for(code: CloseCode, stage: Stage) -> Exit {
    match (code.0, stage) {
        (3008, _) => Exit::TimedOut,
        (1000 | 3000 | 3003, Stage::LoggingIn) => Exit::LoginRefused,
        (1000, Stage::Messaging) => Exit::Ok,
        (_, _) => Exit::Closed,
    }
}

/// Formats an error with its sources.
fn with_sources(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", with_sources(source)),
        None => error.to_string(),
    }
}
