//! The stdout and stderr of a program.

use std::{
    mem::MaybeUninit,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use rustix::io::ioctl_fionread;
use tokio::{
    io::{AsyncRead as _, ReadBuf},
    net::unix::pipe::Receiver,
};

use crate::{
    service::program::{
        Programs,
        lines::{LineTooLong, Lines},
        stderr::StderrLines,
    },
    session::{BackendBytes, Message},
};

/// The greatest number of bytes of one read, and of one message in the mode `binary`. The session copies
/// messages up to this length to its write buffer, so that several are written together.
const READ_BYTES: usize = 16 * 1024;

/// The number of reads of stderr before stdout has its turn.
const BATCH: usize = 8;

/// A pipe from a program.
#[derive(Debug)]
struct Pipe {
    /// `None` after the end of the stream.
    receiver: Option<Receiver>,
    /// The stream ends after the bytes that are owed, although a process still holds it.
    is_cut: bool,
    /// The number of bytes that are still to be read of those that were there at the program's exit.
    owed: u64,
    /// The number of bytes read so far.
    received: u64,
}

impl Pipe {
    fn new(receiver: Receiver) -> Self {
        Self {
            receiver: Some(receiver),
            is_cut: false,
            owed: 0,
            received: 0,
        }
    }

    fn is_open(&self) -> bool {
        self.receiver.is_some() && !(self.is_cut && self.owed == 0)
    }

    /// Notes that the program has exited. What is in the pipe by now is delivered in any case.
    fn on_exit(&mut self) {
        let available = self.receiver.as_ref().map(ioctl_fionread);
        self.owed = available.and_then(Result::ok).unwrap_or_default();
    }

    /// Reads once, and passes the bytes to `sink`. Ready with false at the end of the stream.
    fn poll_read(&mut self, cx: &mut Context<'_>, sink: impl FnOnce(&[u8])) -> Poll<bool> {
        let Some(receiver) = &mut self.receiver else {
            return Poll::Ready(false);
        };
        let mut space = [MaybeUninit::uninit(); READ_BYTES];
        let mut read = ReadBuf::uninit(&mut space);
        let result = ready!(Pin::new(receiver).poll_read(cx, &mut read));
        let bytes = read.filled();
        if result.is_ok() && !bytes.is_empty() {
            self.owed = self.owed.saturating_sub(bytes.len() as u64);
            self.received += bytes.len() as u64;
            sink(bytes);
            return Poll::Ready(true);
        }
        self.receiver = None;
        Poll::Ready(false)
    }

    /// Reads and drops everything. Ready at the end of the stream.
    fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        for _ in 0..BATCH {
            if !ready!(self.poll_read(cx, |_| {})) {
                return Poll::Ready(());
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// A stream of a program whose content is messages.
#[derive(Debug)]
pub(super) struct MessageOutput {
    pipe: Pipe,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Lines(Lines),
    Bytes(Bytes),
}

impl MessageOutput {
    /// Creates a stream of lines.
    pub(super) fn lines(pipe: Receiver, max_line_bytes: usize) -> Self {
        Self {
            pipe: Pipe::new(pipe),
            content: Content::Lines(Lines::new(max_line_bytes)),
        }
    }

    /// Creates a stream of bytes.
    pub(super) fn bytes(pipe: Receiver) -> Self {
        Self {
            pipe: Pipe::new(pipe),
            content: Content::Bytes(Bytes::new()),
        }
    }

    /// Returns true until the end of the stream.
    pub(super) fn is_open(&self) -> bool {
        self.pipe.is_open()
    }

    /// Returns the bytes that are held, and those read so far.
    pub(super) fn backend_bytes(&self) -> BackendBytes {
        BackendBytes {
            held: match &self.content {
                Content::Lines(lines) => lines.held(),
                Content::Bytes(bytes) => bytes.len(),
            },
            moved: self.pipe.received,
        }
    }

    /// Releases the buffer if it is empty.
    pub(super) fn release_buffer(&mut self) {
        match &mut self.content {
            Content::Lines(lines) => lines.release(),
            Content::Bytes(_) => {}
        }
    }

    /// See [`ErrorOutput::on_exit`].
    pub(super) fn on_exit(&mut self) {
        self.pipe.on_exit();
    }

    /// See [`ErrorOutput::cut`].
    pub(super) fn cut(&mut self) {
        self.pipe.is_cut = true;
    }

    /// Returns the next message, or `None` at the end of the stream.
    ///
    /// # Errors
    ///
    /// A line is too long.
    pub(super) fn poll_message(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Message>, LineTooLong>> {
        loop {
            if let Some(message) = self.content.next_message()? {
                return Poll::Ready(Ok(Some(message)));
            }
            let content = &mut self.content;
            let is_open =
                self.pipe.is_open() && ready!(self.pipe.poll_read(cx, |bytes| content.push(bytes)));
            if !is_open {
                return Poll::Ready(self.content.rest());
            }
        }
    }

    /// See [`Pipe::poll_discard`].
    pub(super) fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.pipe.poll_discard(cx)
    }
}

impl Content {
    fn push(&mut self, bytes: &[u8]) {
        match self {
            Self::Lines(lines) => lines.push(bytes),
            Self::Bytes(unread) => *unread = Bytes::copy_from_slice(bytes),
        }
    }

    fn next_message(&mut self) -> Result<Option<Message>, LineTooLong> {
        match self {
            Self::Lines(lines) => Ok(lines.next_line()?.map(|line| text(&line))),
            Self::Bytes(unread) if unread.is_empty() => Ok(None),
            Self::Bytes(unread) => Ok(Some(std::mem::take(unread).into())),
        }
    }

    fn rest(&mut self) -> Result<Option<Message>, LineTooLong> {
        match self {
            Self::Lines(lines) => Ok(lines.rest()?.map(|line| text(&line))),
            Self::Bytes(_) => Ok(None),
        }
    }
}

/// Returns a line as a text message. Bytes that are not UTF-8 become U+FFFD.
fn text(line: &[u8]) -> Message {
    String::from_utf8_lossy(line).into_owned().into()
}

/// A stream of a program whose content is logged.
#[derive(Debug)]
pub(super) struct LogOutput {
    pipe: Pipe,
    lines: StderrLines,
    programs: Arc<Programs>,
}

impl LogOutput {
    /// Creates the log of a stream.
    pub(super) fn new(pipe: Receiver, lines: StderrLines, programs: Arc<Programs>) -> Self {
        Self {
            pipe: Pipe::new(pipe),
            lines,
            programs,
        }
    }

    /// Returns true until the end of the stream.
    pub(super) fn is_open(&self) -> bool {
        self.pipe.is_open()
    }

    /// Logs what is available. Ready at the end of the stream.
    pub(super) fn poll_log(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let limit = self.programs.stderr_limit();
        for _ in 0..BATCH {
            let lines = &mut self.lines;
            if !ready!(self.pipe.poll_read(cx, |bytes| lines.push(bytes, limit))) {
                self.lines.finish(limit);
                return Poll::Ready(());
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// The stderr of a program.
#[derive(Debug)]
pub(super) enum ErrorOutput {
    /// Lines for the log.
    Log(LogOutput),
    /// Messages.
    Messages(MessageOutput),
}

impl ErrorOutput {
    /// Returns true until the end of the stream.
    pub(super) fn is_open(&self) -> bool {
        match self {
            Self::Log(log) => log.is_open(),
            Self::Messages(messages) => messages.is_open(),
        }
    }

    /// Returns the bytes that are held, and those read so far.
    pub(super) fn backend_bytes(&self) -> BackendBytes {
        match self {
            Self::Log(log) => BackendBytes {
                held: log.lines.held(),
                moved: 0,
            },
            Self::Messages(messages) => messages.backend_bytes(),
        }
    }

    /// Releases the buffer if it is empty.
    pub(super) fn release_buffer(&mut self) {
        match self {
            Self::Log(_) => {}
            Self::Messages(messages) => messages.release_buffer(),
        }
    }

    /// Notes that the program has exited. What it has written is delivered, even after a cut.
    pub(super) fn on_exit(&mut self) {
        match self {
            Self::Log(log) => log.pipe.on_exit(),
            Self::Messages(messages) => messages.on_exit(),
        }
    }

    /// Ends the stream although a process that the program left behind holds it.
    pub(super) fn cut(&mut self) {
        match self {
            Self::Log(log) => log.pipe.is_cut = true,
            Self::Messages(messages) => messages.cut(),
        }
    }

    /// Logs what is available. It does nothing for messages.
    pub(super) fn poll_log(&mut self, cx: &mut Context<'_>) {
        match self {
            Self::Log(log) => {
                let _ = log.poll_log(cx);
            }
            Self::Messages(_) => {}
        }
    }

    /// Returns the next message, or `None` at the end of the messages. There are none in a log.
    ///
    /// # Errors
    ///
    /// A line is too long.
    pub(super) fn poll_message(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Message>, LineTooLong>> {
        match self {
            Self::Log(_) => Poll::Ready(Ok(None)),
            Self::Messages(messages) => messages.poll_message(cx),
        }
    }

    /// Logs or drops everything. Ready at the end of the stream.
    pub(super) fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::Log(log) => log.poll_log(cx),
            Self::Messages(messages) => messages.poll_discard(cx),
        }
    }
}
