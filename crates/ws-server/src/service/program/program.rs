//! The backend of a session with a program: messages to its stdin, and messages of its output.

use std::{
    convert::Infallible,
    fmt, io,
    pin::Pin,
    process::Command,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use proto::close::{CloseCode, CloseReason};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::unix::pipe::{Receiver, Sender},
    task::spawn_blocking,
    time::{Sleep, sleep},
};

use crate::{
    service::{
        BackendError, ConnectRequest,
        program::{
            Multiline, ProgramMode, ProgramService, Programs, Stderr,
            directory::{Script, ScriptError},
            environment::environment,
            exit::ProgramExit,
            group::ProcessGroup,
            helper::helper_command,
            input::{Input, Stalled},
            lines::LineTooLong,
            output::{ErrorOutput, LogOutput, MessageOutput},
            stderr::StderrLines,
        },
        pump::{BackendMessages, pump},
    },
    session::{BackendBytes, Ended, Message, Session, Text},
};

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
        let script = self.script(request.rest).await?;
        let (file, arguments) = match (&self.command, &script) {
            (_, Some(script)) => (&script.file, &[][..]),
            (Some(command), None) => (&command.file, &*command.arguments),
            // Unreachable: the keys were checked.
            (None, None) => return Err(BackendError::NotFound),
        };
        let mut command = match self.limits() {
            None => Command::new(file),
            Some(limits) => helper_command(&limits, file),
        };
        command
            .args(arguments)
            .env_clear()
            .envs(environment(self, request, script.as_ref()));
        let file = file.display();
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
            exit: None,
            stragglers: None,
        })
    }
}

impl ProgramService {
    /// Returns the program of a directory that a path below the route names, or `None` for a command.
    async fn script(&self, path: &str) -> Result<Option<Script>, BackendError> {
        let Some(directory) = self.directory.clone() else {
            return Ok(None);
        };
        let path = path.to_owned();
        // A file system may be slow.
        let found = spawn_blocking(move || directory.find(&path)).await;
        match found {
            Ok(Ok(script)) => Ok(Some(script)),
            Ok(Err(ScriptError::Missing)) => Err(BackendError::NotFound),
            Ok(Err(error)) => Err(BackendError::Unavailable(error.to_string())),
            Err(error) => Err(BackendError::Unavailable(error.to_string())),
        }
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
        pump(self, session).await
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

    /// Notes the exit of the program. The end of the session follows its last message.
    fn poll_exit(&mut self, cx: &mut Context<'_>) {
        if self.exit.is_none()
            && let Poll::Ready(exit) = self.group.poll_exit(cx)
        {
            self.programs.count_exit(exit);
            self.exit = Some(exit);
            self.stragglers = Some(Box::pin(sleep(self.grace)));
            self.input.end();
            self.output.on_exit();
            self.errors.on_exit();
        }
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
}

impl BackendMessages for ProgramBackend {
    fn begin_turn(&mut self, cx: &mut Context<'_>) {
        // In each turn: output may have no end.
        self.poll_exit(cx);
        self.poll_stragglers(cx);
        // Even while the client takes nothing: a full pipe would stop the program.
        self.errors.poll_log(cx);
    }

    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Result<Message, Ended>> {
        let message = self.poll_output(cx).map_err(|LineTooLong| {
            by_service(1011, "a line of the program is too long".to_owned())
        })?;
        match (message, self.exit) {
            (Some(message), _) => Poll::Ready(Ok(message)),
            (None, _) if self.output.is_open() || self.errors.is_open() => Poll::Pending,
            (None, None) => Poll::Pending,
            (None, Some(exit)) => Poll::Ready(Err(end_of_program(exit))),
        }
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Ended>> {
        let written = self.input.poll_write(cx);
        written.map_err(|Stalled| Ended::ByUs(CloseReason::UpstreamStalled))
    }

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

    fn backend_bytes(&mut self) -> BackendBytes {
        let (output, errors) = (self.output.backend_bytes(), self.errors.backend_bytes());
        BackendBytes {
            held: self.input.held() + output.held + errors.held,
            moved: self.input.written() + output.moved + errors.moved,
        }
    }

    fn release_buffers(&mut self, _cx: &mut Context<'_>) {
        self.output.release_buffer();
        self.errors.release_buffer();
    }

    /// Waits: the pipes have wakers, and so have the exit and its timer.
    fn poll_idle(&mut self, _cx: &mut Context<'_>) -> Poll<Ended> {
        Poll::Pending
    }
}

/// Returns the end of a session whose program has ended.
fn end_of_program(exit: ProgramExit) -> Ended {
    let code = match exit {
        ProgramExit::Code(0) => 1000,
        ProgramExit::Code(_) | ProgramExit::Signal(_) => 1011,
    };
    by_service(code, exit.to_string())
}

fn by_service(code: u16, reason: String) -> Ended {
    Ended::ByService {
        code: CloseCode(code),
        reason,
    }
}
