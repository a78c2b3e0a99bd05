//! The console of pipes, and of terminals without a line editor.

use std::{
    collections::VecDeque,
    io,
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
    console::{Console, ConsoleEvent},
    echo_control::{EchoControl, EchoState},
    entry::Entry,
    event::{Event, Notice},
    input::{InputError, LineSplitter, UnsentLines, Words},
    json_input,
    mode::Mode,
    output::{OutputQueue, OutputStream, OutputWriter},
    prompt::Prompt,
    records::Records,
    render::Reader,
};
use crate::websocket::Bytes;

/// The number of input bytes per read.
const READ_BYTES: usize = 16 * 1024;

/// The time limit for counting the rest of the input. It is long enough for a file or a full pipe,
/// and stops the count if a program keeps writing.
const COUNT_TIMEOUT: Duration = Duration::from_millis(200);

/// The prompts of a console.
#[derive(Debug)]
pub(crate) enum PromptMode<E> {
    /// No prompts.
    Off,
    /// Prompts on stderr, with control of the terminal's echo.
    On(E),
}

/// The progress of reading the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// Nothing was read yet.
    Untouched,
    Begun,
    Ended,
}

/// A console of the three standard streams.
#[derive(Debug)]
pub(crate) struct StdioConsole<I, O, E, H> {
    input: I,
    lines: LineSplitter,
    progress: Progress,
    output: OutputQueue,
    writer: OutputWriter<O, E>,
    /// The receiver of stdout.
    reader: Reader,
    prompt_mode: PromptMode<H>,
    words: Words,
    records: Records,
    /// The prompt that is on the screen, and has no answer yet.
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
        let lines = match &prompt_mode {
            PromptMode::On(_) => LineSplitter::for_terminal(max_line_bytes),
            PromptMode::Off => LineSplitter::new(max_line_bytes),
        };
        Self {
            input,
            lines,
            progress: Progress::Untouched,
            output: OutputQueue::default(),
            writer: OutputWriter::new(messages, notices),
            reader,
            prompt_mode,
            words: Words::default(),
            records: Records::default(),
            asked: None,
        }
    }

    /// Sets the treatment of the word `exit`.
    pub(crate) fn with_words(self, words: Words) -> Self {
        Self { words, ..self }
    }

    /// Sets the form of messages in both directions. A word is a line, so the other forms have none.
    pub(crate) fn with_records(self, records: Records) -> Self {
        Self {
            lines: self.lines.with_records(records),
            reader: match self.reader {
                Reader::Terminal => Reader::Terminal,
                Reader::Program(_) => Reader::Program(records),
                Reader::Events => Reader::Events,
            },
            words: match records {
                Records::Lines => self.words,
                Records::Null | Records::Raw | Records::Json => Words::Literal,
            },
            records,
            ..self
        }
    }

    /// Sets the queue of the output.
    pub(crate) fn with_output(self, output: OutputQueue) -> Self {
        Self { output, ..self }
    }

    /// Writes events to stdout instead of messages.
    pub(crate) fn with_events(self) -> Self {
        Self {
            reader: Reader::Events,
            ..self
        }
    }

    /// Adds lines that were typed before the console existed.
    pub(crate) fn with_typed_ahead(mut self, lines: VecDeque<String>) -> Self {
        for line in lines {
            self.lines.push(line.as_bytes());
            self.lines.push(b"\n");
        }
        self
    }

    /// Polls for the next line, or `None` at the end of the input.
    fn poll_line(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<String, InputError>>> {
        loop {
            if let Some(line) = self.lines.next_line() {
                return Poll::Ready(Some(line));
            }
            if self.progress == Progress::Ended {
                return Poll::Ready(self.lines.finish());
            }
            if let Err(error) = ready!(self.poll_read(cx)) {
                return Poll::Ready(Some(Err(InputError::Read(error))));
            }
        }
    }

    /// Polls for the next bytes of a raw stream, or `None` at its end. The bytes behind the login come
    /// first.
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, InputError>>> {
        loop {
            if let Some(bytes) = self.lines.take_bytes() {
                return Poll::Ready(Some(Ok(bytes.into())));
            }
            if self.progress == Progress::Ended {
                return Poll::Ready(None);
            }
            if let Err(error) = ready!(self.poll_read(cx)) {
                return Poll::Ready(Some(Err(InputError::Read(error))));
            }
        }
    }

    /// Reads once.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.progress = Progress::Begun;
        let mut bytes = [0; READ_BYTES];
        let mut buffer = ReadBuf::new(&mut bytes);
        match ready!(Pin::new(&mut self.input).poll_read(cx, &mut buffer)) {
            Ok(()) if buffer.filled().is_empty() => self.progress = Progress::Ended,
            Ok(()) => self.lines.push(buffer.filled()),
            Err(error) => return Poll::Ready(Err(error)),
        }
        Poll::Ready(Ok(()))
    }

    /// Writes the prompt, unless it is on the screen already.
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
        self.end_prompt_line();
        self.output
            .push(OutputStream::Stderr, prompt.text().as_bytes());
        self.asked = Some(prompt.clone());
    }

    /// Ends the prompt's line. The prompt is written again later.
    fn end_prompt_line(&mut self) {
        if self.asked.take().is_some() {
            self.output.push(OutputStream::Stderr, b"\n");
        }
    }

    /// Records that a line was entered. If its echo was off, so was the echo of its line break.
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

    fn records(&self) -> Records {
        self.records
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
        let Some(prompt) = wanted else {
            return Poll::Pending;
        };
        if let (Records::Raw, Prompt::Context) = (self.records, prompt) {
            return Poll::Ready(match ready!(self.poll_chunk(cx)) {
                Some(Ok(bytes)) => ConsoleEvent::Entered(Entry::Chunk(bytes)),
                Some(Err(error)) => ConsoleEvent::BadInput(error),
                None if self.lines.is_untouched() => ConsoleEvent::EmptyInput,
                None => ConsoleEvent::EndOfInput,
            });
        }
        Poll::Ready(match ready!(self.poll_line(cx)) {
            Some(Ok(line)) if (self.records, prompt) == (Records::Json, &Prompt::Context) => {
                match json_input::parse(&line) {
                    Ok(entry) => ConsoleEvent::Entered(entry),
                    Err(problem) => ConsoleEvent::BadInput(InputError::NoAction {
                        line: self.lines.count(),
                        problem,
                    }),
                }
            }
            Some(Ok(line)) => {
                self.answered();
                self.entered(line, prompt, self.words)
            }
            Some(Err(error @ InputError::CutByTerminal)) => {
                self.answered();
                self.notice(Notice::BadInput(&error));
                // The next poll asks again.
                ConsoleEvent::Wrote
            }
            Some(Err(error)) => ConsoleEvent::BadInput(error),
            None if self.mode() == Mode::Pipe && self.lines.is_untouched() => {
                ConsoleEvent::EmptyInput
            }
            None => ConsoleEvent::EndOfInput,
        })
    }

    fn tell(&mut self, event: Event<'_>) {
        match (&event, self.reader) {
            (Event::Message(_), Reader::Terminal) => self.end_prompt_line(),
            (event, _) if self.output.is_shown(event) => self.end_prompt_line(),
            // The line goes to a file or a program, and the prompt stays on the screen.
            (_, _) => {}
        }
        self.output.push_event(&event, self.reader);
    }

    fn has_room(&self) -> bool {
        self.output.has_room()
    }

    fn is_drained(&self) -> bool {
        self.output.is_empty() && self.writer.is_idle()
    }

    fn cancel_prompt(&mut self) {
        self.end_prompt_line();
    }

    async fn unsent_lines(&mut self) -> Option<UnsentLines> {
        if self.records == Records::Raw {
            return None;
        }
        if self.progress == Progress::Untouched || self.mode() == Mode::Interactive {
            // If nothing was read, no line was taken from the program that writes to the pipe. Lines
            // that are typed at a terminal later are for the next program.
            return Some(UnsentLines::Exactly(0));
        }
        let mut count = 0;
        let counting = async {
            loop {
                match poll_fn(|cx| self.poll_line(cx)).await {
                    None => return true,
                    Some(Ok(_) | Err(InputError::NotUtf8 { .. })) => count += 1,
                    Some(Err(
                        InputError::TooLong { .. }
                        | InputError::CutByTerminal
                        | InputError::NoAction { .. }
                        | InputError::Read(_),
                    )) => return false,
                }
                // An input that is always ready must not starve the timers.
                tokio::task::coop::consume_budget().await;
            }
        };
        Some(match timeout(COUNT_TIMEOUT, counting).await {
            Ok(true) => UnsentLines::Exactly(count),
            Ok(false) | Err(_) => UnsentLines::AtLeast(count),
        })
    }

    async fn finish(self) {
        // The drop of the terminal restores it. Typed-ahead input is discarded if the echo is off.
    }
}

#[cfg(test)]
mod tests {
    use std::{
        num::NonZeroUsize,
        task::{Context, Poll, Waker},
    };

    use super::{
        Console as _, ConsoleEvent, EchoControl, EchoState, Prompt, PromptMode, Reader, Records,
        StdioConsole,
    };
    use crate::websocket::Payload;

    struct NoEcho;

    impl EchoControl for NoEcho {
        fn set_echo(&mut self, _: EchoState) {}
    }

    /// Returns what a person sees on stderr while two messages arrive at a prompt.
    fn prompts(reader: Reader) -> String {
        let (input, _typing) = tokio::io::duplex(16);
        let mut stderr = Vec::new();
        let mut console = StdioConsole::new(
            input,
            (tokio::io::sink(), reader),
            &mut stderr,
            PromptMode::On(NoEcho),
            NonZeroUsize::MAX,
        );
        let mut cx = Context::from_waker(Waker::noop());
        for text in ["one", "two", ""] {
            while let Poll::Ready(event) = console.poll_event(&mut cx, Some(&Prompt::Context)) {
                assert!(matches!(event, ConsoleEvent::Wrote), "{event:?}");
            }
            console.message(Payload::Text(text));
        }
        drop(console);
        String::from_utf8(stderr).unwrap()
    }

    /// Messages that go to a file do not touch the screen, so the prompt is still there.
    #[test]
    fn messages_to_a_file_repeat_no_prompt() {
        let prompt = "please enter your context: ";
        assert_eq!(prompts(Reader::Program(Records::Lines)), prompt);
        let repeated = format!("{prompt}\n{prompt}\n{prompt}");
        assert_eq!(prompts(Reader::Terminal), repeated);
    }
}
