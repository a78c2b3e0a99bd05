//! The console of scripts, and of terminals without a line editor: lines are read as they come, and
//! everything is written as it is.

use std::{
    collections::VecDeque,
    num::NonZeroUsize,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use futures::future::poll_fn;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::timeout,
};

use super::{
    console::{Console, ConsoleEvent, UnsentLines},
    echo_control::{EchoControl, EchoState},
    input::{InputError, LineSplitter},
    mode::Mode,
    output::{OutputQueue, OutputStream, OutputWriter},
    prompt::Prompt,
    render::{Reader, message_on},
    screen::Screen,
};
use crate::websocket::Payload;

/// How much is read of the input at once.
const READ_BYTES: usize = 16 * 1024;

/// How long the end of an input is looked for, to count the lines that were not sent. What stands in
/// a file or a full pipe is read in no time; a program that goes on writing is not waited for.
const COUNT_PATIENCE: Duration = Duration::from_millis(200);

/// Who is asked for lines, and how.
#[derive(Debug)]
pub(crate) enum PromptMode<E> {
    /// Nobody: the lines come by themselves.
    Off,
    /// A person, by prompts on stderr.
    On(E),
}

/// How far the input was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// Nothing was read, and perhaps nothing ever will be.
    Untouched,
    Begun,
    Ended,
}

/// A console of three streams, as a process has them.
#[derive(Debug)]
pub(crate) struct StdioConsole<I, O, E, H> {
    input: I,
    lines: LineSplitter,
    progress: Progress,
    output: OutputQueue,
    writer: OutputWriter<O, E>,
    /// Who reads the messages.
    reader: Reader,
    prompt_mode: PromptMode<H>,
    /// The prompt that was written and not yet answered.
    asked: Option<Prompt>,
}

impl<I, O, E, H> StdioConsole<I, O, E, H>
where
    I: AsyncRead + Unpin,
    O: AsyncWrite + Unpin,
    E: AsyncWrite + Unpin,
    H: EchoControl,
{
    pub(crate) fn new(
        input: I,
        (messages, reader): (O, Reader),
        notices: E,
        prompt_mode: PromptMode<H>,
        max_line_bytes: NonZeroUsize,
    ) -> Self {
        Self {
            input,
            lines: LineSplitter::new(max_line_bytes),
            progress: Progress::Untouched,
            output: OutputQueue::default(),
            writer: OutputWriter::new(messages, notices),
            reader,
            prompt_mode,
            asked: None,
        }
    }

    /// The same console, with lines that were typed before it was there.
    pub(crate) fn with_typed_ahead(mut self, lines: VecDeque<String>) -> Self {
        for line in lines {
            self.lines.push(line.as_bytes());
            self.lines.push(b"\n");
        }
        self
    }

    /// The next line, or the end of the input.
    fn poll_line(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<String, InputError>>> {
        loop {
            if let Some(line) = self.lines.next_line() {
                return Poll::Ready(Some(line));
            }
            if self.progress == Progress::Ended {
                return Poll::Ready(self.lines.finish());
            }
            self.progress = Progress::Begun;
            let mut bytes = [0; READ_BYTES];
            let mut buffer = ReadBuf::new(&mut bytes);
            match ready!(Pin::new(&mut self.input).poll_read(cx, &mut buffer)) {
                Ok(()) if buffer.filled().is_empty() => self.progress = Progress::Ended,
                Ok(()) => self.lines.push(buffer.filled()),
                Err(error) => return Poll::Ready(Some(Err(InputError::Read(error)))),
            }
        }
    }

    /// Writes the prompt, unless it stands there already.
    fn ask(&mut self, prompt: &Prompt) {
        let PromptMode::On(echo) = &mut self.prompt_mode else {
            return;
        };
        if self.asked.as_ref() == Some(prompt) {
            return;
        }
        echo.set_echo(if prompt.mask().hides() {
            EchoState::Off
        } else {
            EchoState::On
        });
        self.leave_prompt();
        self.output
            .push(OutputStream::Stderr, prompt.text().as_bytes());
        self.asked = Some(prompt.clone());
    }

    /// Begins a line of its own for what is written next; the prompt is written again after it.
    fn leave_prompt(&mut self) {
        if self.asked.take().is_some() {
            self.output.push(OutputStream::Stderr, b"\n");
        }
    }

    /// Takes note that a line was typed. Where that was hidden, the line break was hidden too.
    fn answered(&mut self) {
        if self
            .asked
            .as_ref()
            .is_some_and(|prompt| prompt.mask().hides())
        {
            self.output.push(OutputStream::Stderr, b"\n");
        }
        self.asked = None;
    }
}

impl<I, O, E, H> Console for StdioConsole<I, O, E, H>
where
    I: AsyncRead + Unpin,
    O: AsyncWrite + Unpin,
    E: AsyncWrite + Unpin,
    H: EchoControl,
{
    fn mode(&self) -> Mode {
        match self.prompt_mode {
            PromptMode::Off => Mode::Pipe,
            PromptMode::On(_) => Mode::Interactive,
        }
    }

    fn poll_event(&mut self, cx: &mut Context<'_>, wanted: Option<&Prompt>) -> Poll<ConsoleEvent> {
        if let Some(prompt) = wanted {
            self.ask(prompt);
        }
        match self.writer.poll_write(cx, &mut self.output) {
            Poll::Ready(Ok(())) => return Poll::Ready(ConsoleEvent::Wrote),
            Poll::Ready(Err(error)) => return Poll::Ready(ConsoleEvent::OutputFailed(error)),
            Poll::Pending => {}
        }
        if wanted.is_none() {
            return Poll::Pending;
        }
        Poll::Ready(match ready!(self.poll_line(cx)) {
            Some(Ok(line)) => {
                self.answered();
                ConsoleEvent::Line(line)
            }
            Some(Err(error)) => ConsoleEvent::BadInput(error),
            None => ConsoleEvent::EndOfInput,
        })
    }

    fn message(&mut self, payload: Payload<'_>) {
        self.leave_prompt();
        let bytes = message_on(payload, self.reader, Screen::here);
        self.output.push(OutputStream::Stdout, &bytes);
    }

    fn notice(&mut self, text: &str) {
        self.leave_prompt();
        self.output.push(OutputStream::Stderr, text.as_bytes());
        self.output.push(OutputStream::Stderr, b"\n");
    }

    fn has_room(&self) -> bool {
        self.output.has_room()
    }

    fn is_drained(&self) -> bool {
        self.output.is_empty() && self.writer.is_idle()
    }

    fn cancel_prompt(&mut self) {
        self.leave_prompt();
    }

    async fn unsent_lines(&mut self) -> UnsentLines {
        if self.progress == Progress::Untouched || self.mode() == Mode::Interactive {
            // Whoever wrote the lines has them still, and what a person types from now on is meant
            // for somebody else.
            return UnsentLines::Exactly(0);
        }
        let mut count = 0;
        let counting = async {
            loop {
                match poll_fn(|cx| self.poll_line(cx)).await {
                    None => return true,
                    Some(Ok(_) | Err(InputError::NotUtf8 { .. })) => count += 1,
                    Some(Err(InputError::TooLong { .. } | InputError::Read(_))) => return false,
                }
                // An input that is always ready must not keep the time from being looked at.
                tokio::task::coop::consume_budget().await;
            }
        };
        match timeout(COUNT_PATIENCE, counting).await {
            Ok(true) => UnsentLines::Exactly(count),
            Ok(false) | Err(_) => UnsentLines::AtLeast(count),
        }
    }

    async fn finish(self) {
        // The terminal gives itself back, and knows whether what was typed ahead may be seen.
    }
}
