//! The reason why a session ended, with its exit code and its error messages.

use std::{io, time::Duration};

use proto::{
    close::{CloseCode, CloseReason},
    message::CredentialsError,
};

use crate::{
    config::Goal,
    connect::ConnectError,
    console::{ConsoleEvent, Entry, InputError, Mode, Notice, UnsentLines},
    exit::Exit,
    websocket::{CloseFrame, Closed},
};

/// The reason why a session ended.
#[derive(Debug)]
pub(crate) enum EndReason {
    /// The user entered `exit`.
    Exit,
    /// The input asks for this Close frame.
    CloseRequested(CloseFrame),
    /// The input ended.
    EndOfInput,
    /// The input of a pipe was empty.
    EmptyInput,
    /// The messages that were asked for have arrived.
    CountReached,
    /// The time limit of the run was reached.
    TimeUp(Duration),
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
    /// Returns the entry that was read, if any.
    ///
    /// # Errors
    ///
    /// Returns the end reason that the event brings.
    pub(crate) fn entry(self) -> Result<Option<Entry>, EndReason> {
        match self {
            Self::Entered(entry) => Ok(Some(entry)),
            Self::Wrote => Ok(None),
            Self::Exit => Err(EndReason::Exit),
            Self::EndOfInput => Err(EndReason::EndOfInput),
            Self::EmptyInput => Err(EndReason::EmptyInput),
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
    /// The sent and answered messages, if answers are waited for.
    pub(crate) counts: MessageCounts,
    /// The number of received messages, and the goal for it.
    pub(crate) received: usize,
    pub(crate) goal: Goal,
}

impl EndContext {
    /// Returns the notice that fewer messages arrived than were asked for.
    fn too_few_messages(&self) -> Option<Notice<'static>> {
        match (self.stage, self.goal) {
            (Stage::Messaging, Goal::Count(wanted)) if self.received < wanted.get() => {
                Some(Notice::TooFewMessages {
                    received: self.received,
                    wanted: wanted.get(),
                })
            }
            (_, _) => None,
        }
    }
}

/// The exit code and the notices before it.
#[derive(Debug)]
pub(crate) struct ExitReport<'a> {
    pub(crate) exit: Exit,
    pub(crate) notices: Vec<Notice<'a>>,
}

impl EndReason {
    /// Returns true if the unsent lines are worth counting. They are not after an interrupt, a closed
    /// output, or `exit` of a person: the user asked for the end. In a pipe, `exit` before the end of
    /// the input may be data.
    pub(crate) fn leaves_lines(&self, mode: Mode) -> bool {
        match self {
            Self::Exit | Self::CloseRequested(_) => mode == Mode::Pipe,
            Self::EndOfInput | Self::EmptyInput | Self::Interrupted | Self::OutputFailed(_) => {
                false
            }
            Self::CountReached
            | Self::TimeUp(_)
            | Self::BadInput(_)
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

/// Returns the exit code and the notices for this end of a session.
pub(crate) fn exit_report<'a>(
    end_reason: &'a EndReason,
    close_outcome: CloseOutcome<'a>,
    context: EndContext,
    close_deadline: Duration,
) -> ExitReport<'a> {
    let EndContext { mode, stage, .. } = context;
    let counts = context.counts;
    let mut notices = Vec::new();
    let exit = match end_reason {
        EndReason::EndOfInput | EndReason::EmptyInput
            if stage == Stage::LoggingIn && mode == Mode::Pipe =>
        {
            notices.push(Notice::InputEndedAtLogin);
            Exit::LoginRefused
        }
        EndReason::EmptyInput => {
            notices.push(Notice::EmptyInput);
            Exit::Usage
        }
        EndReason::TimeUp(_) if context.goal == Goal::Stay && stage == Stage::Messaging => Exit::Ok,
        EndReason::TimeUp(span) => {
            notices.push(Notice::TimeUp(*span));
            Exit::TimedOut
        }
        EndReason::Exit | EndReason::EndOfInput | EndReason::CountReached => {
            let replies_missing = mode == Mode::Pipe && counts.unanswered() > 0;
            after_client_close(
                close_outcome,
                replies_missing,
                stage,
                close_deadline,
                &mut notices,
            )
        }
        EndReason::CloseRequested(frame) => match close_outcome {
            CloseOutcome::Closed(Closed::ByPeer(reply)) if reply.code == frame.code => Exit::Ok,
            other => after_client_close(other, false, stage, close_deadline, &mut notices),
        },
        EndReason::Interrupted => Exit::Interrupted,
        EndReason::BadInput(error) => {
            notices.push(Notice::BadInput(error));
            Exit::Usage
        }
        EndReason::NoCredentials(error) => {
            notices.push(Notice::NoCredentials(*error));
            Exit::Usage
        }
        // The reader of stdout has read enough, as `head` does.
        EndReason::OutputFailed(error) if error.kind() == io::ErrorKind::BrokenPipe => {
            return ExitReport {
                exit: Exit::Ok,
                notices,
            };
        }
        EndReason::OutputFailed(error) => {
            notices.push(Notice::OutputFailed(error));
            Exit::Failure
        }
        EndReason::ConnectFailed(error) => {
            notices.push(Notice::ConnectFailed(error));
            error.exit()
        }
        EndReason::LoginRefused => {
            notices.push(Notice::LoginRefused);
            Exit::LoginRefused
        }
        EndReason::NoFurtherCredentials => {
            notices.push(Notice::NoFurtherCredentials);
            Exit::LoginRefused
        }
        EndReason::NoLogin(credentials_sent) => {
            notices.push(Notice::NoLogin);
            if *credentials_sent == CredentialsSent::Yes {
                notices.push(Notice::CredentialsExposed);
            }
            Exit::Usage
        }
        EndReason::LoginTimedOut(span) => {
            notices.push(Notice::LoginTimedOut(*span));
            Exit::TimedOut
        }
        EndReason::Stalled(span) => {
            notices.push(Notice::Stalled(*span));
            Exit::TimedOut
        }
        EndReason::Server(end) => match after_server_close(end, stage, &mut notices) {
            // A normal close is an error if answers are missing.
            Exit::Ok if mode == Mode::Pipe && counts.unanswered() > 0 => Exit::Closed,
            exit => exit,
        },
    };
    let by_server = matches!(end_reason, EndReason::Server(_) | EndReason::Stalled(_));
    if (by_server || mode == Mode::Pipe) && counts.unanswered() > 0 {
        notices.push(Notice::Unanswered(counts.unanswered()));
    }
    let exit = match (exit, context.too_few_messages()) {
        (Exit::Ok, Some(notice)) => {
            notices.push(notice);
            Exit::Unmet
        }
        (Exit::Closed | Exit::TimedOut, Some(notice)) => {
            notices.push(notice);
            exit
        }
        (exit, _) => exit,
    };
    ExitReport { exit, notices }
}

/// Returns the number of input lines that were not sent, if there are any. `queued` of them were read.
pub(crate) fn unsent(unsent_lines: UnsentLines, queued: usize) -> Option<UnsentLines> {
    let all = match unsent_lines {
        UnsentLines::Exactly(count) => UnsentLines::Exactly(count + queued),
        UnsentLines::AtLeast(count) => UnsentLines::AtLeast(count + queued),
    };
    match all {
        UnsentLines::Exactly(0) | UnsentLines::AtLeast(0) => None,
        UnsentLines::Exactly(_) | UnsentLines::AtLeast(_) => Some(all),
    }
}

/// Returns the exit code after a closing handshake that the client started.
fn after_client_close<'a>(
    close_outcome: CloseOutcome<'a>,
    replies_missing: bool,
    stage: Stage,
    close_deadline: Duration,
    notices: &mut Vec<Notice<'a>>,
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
            after_server_close(end, stage, notices);
            Exit::Ok
        }
        CloseOutcome::Closed(end) => after_server_close(end, stage, notices),
        CloseOutcome::TimedOut => {
            notices.push(Notice::CloseTimedOut(close_deadline));
            if replies_missing {
                Exit::TimedOut
            } else {
                Exit::Ok
            }
        }
    }
}

fn after_server_close<'a>(end: &'a Closed, stage: Stage, notices: &mut Vec<Notice<'a>>) -> Exit {
    notices.push(Notice::Closed(end));
    match end {
        Closed::ByPeer(frame) => exit_for(frame.code, stage),
        Closed::InvalidCode(_) | Closed::Lost(_) | Closed::ProtocolViolation { .. } => Exit::Closed,
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
