//! The backend of a session with a program: messages to its stdin, and messages of its output.

use std::{
    convert::Infallible,
    fmt,
    future::poll_fn,
    io,
    pin::Pin,
    process::Command,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use proto::close::{CloseCode, CloseReason};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::unix::pipe::{Receiver, Sender},
    time::{Sleep, sleep},
};

use crate::{
    service::{
        BackendError, ConnectRequest,
        program::{
            Multiline, ProgramMode, ProgramService, Programs, Stderr,
            environment::environment,
            exit::ProgramExit,
            group::ProcessGroup,
            input::{Input, Stalled},
            lines::LineTooLong,
            output::{ErrorOutput, LogOutput, MessageOutput},
            stderr::StderrLines,
        },
    },
    session::{Ended, Message, Session, Text},
};

/// The number of messages of one direction before the other one has its turn.
const BATCH: usize = 32;

/// The number of turns before other tasks run.
const TURNS: usize = 8;

/// The program of one session.
#[derive(Debug)]
pub(crate) struct ProgramBackend {
    mode: ProgramMode,
    multiline: Multiline,
    programs: Arc<Programs>,
    pub(super) grace: Duration,
    pub(super) group: ProcessGroup,
    pub(super) input: Input,
    pub(super) output: MessageOutput,
    pub(super) errors: ErrorOutput,
    /// The message of the program that the session does not take yet.
    to_client: Option<Message>,
    exit: Option<ProgramExit>,
    /// The time until which processes that the program left behind may write.
    stragglers: Option<Pin<Box<Sleep>>>,
}

impl ProgramService {
    /// Starts the program of a session.
    pub(crate) async fn connect(
        &self,
        request: ConnectRequest<'_>,
    ) -> Result<ProgramBackend, BackendError> {
        let programs = request.programs;
        let slot = programs
            .slot(request.route, self.max_processes.get())
            .ok_or(BackendError::Full)?;
        let mut command = Command::new(&self.command.file);
        command
            .args(&self.command.arguments)
            .env_clear()
            .envs(environment(self, request));
        let file = self.command.file.display();
        let failed = |error: io::Error| unavailable(&file, &error);
        let started = programs.start(command, slot).await.map_err(failed)?;
        let stdin = Sender::from_owned_fd(started.stdin).map_err(failed)?;
        let stdout = Receiver::from_owned_fd(started.stdout).map_err(failed)?;
        let stderr = Receiver::from_owned_fd(started.stderr).map_err(failed)?;
        let max_line_bytes = self.max_line_bytes.get();
        let output = match self.mode {
            ProgramMode::Line => MessageOutput::lines(stdout, max_line_bytes),
            ProgramMode::Binary => MessageOutput::bytes(stdout),
        };
        let errors = match self.stderr {
            Stderr::Log => {
                let lines = StderrLines::new(request.connection);
                ErrorOutput::Log(LogOutput::new(stderr, lines, Arc::clone(programs)))
            }
            Stderr::Message => ErrorOutput::Messages(MessageOutput::lines(stderr, max_line_bytes)),
        };
        Ok(ProgramBackend {
            mode: self.mode,
            multiline: self.multiline,
            programs: Arc::clone(programs),
            grace: self.grace,
            group: started.group,
            input: Input::new(stdin, request.limits.write_deadline),
            output,
            errors,
            to_client: None,
            exit: None,
            stragglers: None,
        })
    }
}

fn unavailable(file: &impl fmt::Display, error: &io::Error) -> BackendError {
    BackendError::Unavailable(format!("cannot start {file}: {error}"))
}

impl ProgramBackend {
    /// Passes messages in both directions until the program or the session ends.
    ///
    /// # Errors
    ///
    /// The reason for the end of the session. There is no other result.
    pub(crate) async fn run<S>(&mut self, session: &mut Session<S>) -> Result<Infallible, Ended>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        Err(poll_fn(|cx| self.poll_end(cx, session)).await)
    }

    /// Passes on what is available in both directions. Ready when the session must end.
    fn poll_end<S>(&mut self, cx: &mut Context<'_>, session: &mut Session<S>) -> Poll<Ended>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        self.poll_stragglers(cx);
        for _ in 0..TURNS {
            // Even while the client takes nothing: a full pipe would stop the program.
            self.errors.poll_log(cx);
            let delivered = match self.poll_to_client(cx, session) {
                Ok(delivered) => delivered,
                Err(ended) => return Poll::Ready(ended),
            };
            let taken = match self.poll_to_program(cx, session) {
                Ok(taken) => taken,
                Err(ended) => return Poll::Ready(ended),
            };
            if !delivered && !taken {
                return self.poll_exit(cx);
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Passes on messages of the program. Nothing is read while the session takes no message. Returns
    /// true if more may be available.
    fn poll_to_client<S>(
        &mut self,
        cx: &mut Context<'_>,
        session: &mut Session<S>,
    ) -> Result<bool, Ended>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        for turn in 0..BATCH {
            match session.poll_send(cx, &mut self.to_client) {
                Poll::Ready(sent) => sent?,
                Poll::Pending => return Ok(false),
            }
            let message = self.poll_output(cx).map_err(|LineTooLong| {
                by_service(1011, "a line of the program is too long".to_owned())
            })?;
            if message.is_none() {
                return Ok(turn > 0);
            }
            self.to_client = message;
        }
        Ok(true)
    }

    /// Returns the next message of the program, if there is one now.
    fn poll_output(&mut self, cx: &mut Context<'_>) -> Result<Option<Message>, LineTooLong> {
        if let Poll::Ready(message) = self.output.poll_message(cx)
            && let Some(message) = message?
        {
            return Ok(Some(message));
        }
        match self.errors.poll_message(cx) {
            Poll::Ready(message) => message,
            Poll::Pending => Ok(None),
        }
    }

    /// Passes on messages of the client. Nothing is read while the program does not take the one before.
    /// Returns true if more may be available.
    fn poll_to_program<S>(
        &mut self,
        cx: &mut Context<'_>,
        session: &mut Session<S>,
    ) -> Result<bool, Ended>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        for turn in 0..BATCH {
            match self.input.poll_write(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(Stalled)) => return Err(Ended::ByUs(CloseReason::UpstreamStalled)),
                Poll::Pending => {
                    return match session.poll_hold(cx) {
                        Poll::Ready(ended) => Err(ended),
                        Poll::Pending => Ok(false),
                    };
                }
            }
            match session.poll_recv(cx) {
                Poll::Ready(message) => self.accept(message?)?,
                Poll::Pending => return Ok(turn > 0),
            }
        }
        Ok(true)
    }

    /// Accepts a message of the client, whose predecessor is written.
    fn accept(&mut self, message: Message) -> Result<(), Ended> {
        let bytes = match (self.mode, message) {
            (ProgramMode::Line, Message::Text(text)) => self.line(text)?,
            (ProgramMode::Line, Message::Binary(_)) => {
                return Err(Ended::ByUs(CloseReason::TextOnly));
            }
            (ProgramMode::Binary, Message::Text(text)) => text.into(),
            (ProgramMode::Binary, Message::Binary(bytes)) => bytes,
        };
        self.input.accept(bytes);
        Ok(())
    }

    /// Returns a text with a line break at its end.
    fn line(&self, text: Text) -> Result<Bytes, Ended> {
        let line = text.strip_suffix('\n').unwrap_or(&text);
        if self.multiline == Multiline::Refuse && line.contains('\n') {
            return Err(by_service(1003, "a line break in a message".to_owned()));
        }
        if line.len() < text.len() {
            return Ok(text.into());
        }
        let mut bytes = Vec::with_capacity(text.len() + 1);
        bytes.extend_from_slice(text.as_bytes());
        bytes.push(b'\n');
        Ok(bytes.into())
    }

    /// Ends the output of processes that the program left behind, once their time is over. They may write
    /// without an end.
    fn poll_stragglers(&mut self, cx: &mut Context<'_>) {
        if let Some(stragglers) = &mut self.stragglers
            && stragglers.as_mut().poll(cx).is_ready()
        {
            self.output.cut();
            self.errors.cut();
        }
    }

    /// Waits for the exit of the program, and then for the end of its output.
    fn poll_exit(&mut self, cx: &mut Context<'_>) -> Poll<Ended> {
        let Some(exit) = self.exit else {
            let exit = ready!(self.group.poll_exit(cx));
            self.programs.count_exit(exit);
            self.exit = Some(exit);
            self.stragglers = Some(Box::pin(sleep(self.grace)));
            self.input.end();
            self.output.on_exit();
            self.errors.on_exit();
            cx.waker().wake_by_ref();
            return Poll::Pending;
        };
        if self.to_client.is_some() {
            return Poll::Pending;
        }
        if self.output.is_open() || self.errors.is_open() {
            // The pipe has a waker, and so has the timer.
            return Poll::Pending;
        }
        let code = match exit {
            ProgramExit::Code(0) => 1000,
            ProgramExit::Code(_) | ProgramExit::Signal(_) => 1011,
        };
        Poll::Ready(by_service(code, exit.to_string()))
    }
}

fn by_service(code: u16, reason: String) -> Ended {
    Ended::ByService {
        code: CloseCode(code),
        reason,
    }
}
