//! The output to stdout and stderr, in the order in which it was queued.

use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::AsyncWrite;

use super::{
    detail::Detail,
    event::{Event, Notice},
    json,
    message_log::MessageLog,
    render::{Reader, message_on},
    screen::Screen,
};

/// The length of the queue in bytes at which the client stops reading from the server.
const HIGH_WATER_BYTES: usize = 64 * 1024;

/// The stream for a piece of output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OutputStream {
    /// Stdout: messages only.
    Stdout,
    /// Stderr: everything else.
    Stderr,
}

/// A piece of output for one stream.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct OutputChunk {
    pub(crate) stream: OutputStream,
    pub(crate) bytes: Vec<u8>,
}

/// The output that waits to be written.
#[derive(Debug, Default)]
pub(crate) struct OutputQueue {
    chunks: VecDeque<OutputChunk>,
    bytes: usize,
    log: Option<MessageLog>,
    detail: Detail,
}

impl OutputQueue {
    /// Creates a queue with this detail of stderr. Writes all events to the log too, if there is one.
    pub(crate) fn new(detail: Detail, log: Option<MessageLog>) -> Self {
        Self {
            log,
            detail,
            ..Self::default()
        }
    }

    pub(crate) fn push(&mut self, stream: OutputStream, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.bytes += bytes.len();
        match self.chunks.back_mut() {
            Some(last) if last.stream == stream => last.bytes.extend_from_slice(bytes),
            Some(_) | None => self.chunks.push_back(OutputChunk {
                stream,
                bytes: bytes.to_vec(),
            }),
        }
    }

    /// Returns true if the event has words on stderr.
    pub(super) fn is_shown(&self, event: &Event<'_>) -> bool {
        self.detail.words(event).is_some()
    }

    /// Queues an event: a message for stdout and its reader, and the words of a notice for stderr. A
    /// reader of events gets each of them.
    pub(crate) fn push_event(&mut self, event: &Event<'_>, reader: Reader) {
        if let Some(log) = &mut self.log
            && let Err(error) = log.append(event)
        {
            self.push_event(&Event::Notice(Notice::LogFailed(&error)), reader);
        }
        if let (Reader::Events, Some(line)) = (reader, json::line(event)) {
            self.push(OutputStream::Stdout, line.as_bytes());
        }
        if let Event::Message(payload) = event {
            let bytes = message_on(*payload, reader, Screen::here);
            self.push(OutputStream::Stdout, &bytes);
        }
        if let Some(words) = self.detail.words(event) {
            self.push(OutputStream::Stderr, words.as_bytes());
            self.push(OutputStream::Stderr, b"\n");
        }
    }

    /// Returns true if the queue is short enough to read more from the server.
    pub(crate) fn has_room(&self) -> bool {
        self.bytes < HIGH_WATER_BYTES
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// Takes all chunks.
    pub(crate) fn take(&mut self) -> Vec<OutputChunk> {
        self.bytes = 0;
        self.chunks.drain(..).collect()
    }

    fn next(&mut self) -> Option<OutputChunk> {
        let chunk = self.chunks.pop_front()?;
        self.bytes -= chunk.bytes.len();
        Some(chunk)
    }
}

/// A writer of the queue to two streams.
#[derive(Debug)]
pub(crate) struct OutputWriter<O, E> {
    stdout: O,
    stderr: E,
    /// The chunk that is being written, and the number of its bytes that were written.
    current: Option<(OutputChunk, usize)>,
}

impl<O, E> OutputWriter<O, E>
where
    O: AsyncWrite + Unpin,
    E: AsyncWrite + Unpin,
{
    pub(crate) fn new(stdout: O, stderr: E) -> Self {
        Self {
            stdout,
            stderr,
            current: None,
        }
    }

    /// Returns true if no chunk is being written.
    pub(crate) fn is_idle(&self) -> bool {
        self.current.is_none()
    }

    /// Writes and flushes the next chunk. Also pending if there is none.
    ///
    /// # Errors
    ///
    /// Stdout cannot be written. Errors of stderr are dropped: there is no other place to report
    /// them.
    pub(crate) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        output: &mut OutputQueue,
    ) -> Poll<io::Result<()>> {
        if self.current.is_none() {
            self.current = output.next().map(|chunk| (chunk, 0));
        }
        let Some((chunk, written)) = &mut self.current else {
            return Poll::Pending;
        };
        let stream = chunk.stream;
        let done = match stream {
            OutputStream::Stdout => poll_chunk(&mut self.stdout, cx, &chunk.bytes, written),
            OutputStream::Stderr => poll_chunk(&mut self.stderr, cx, &chunk.bytes, written),
        };
        let result = ready!(done);
        self.current = None;
        Poll::Ready(match stream {
            OutputStream::Stdout => result,
            OutputStream::Stderr => Ok(()),
        })
    }
}

fn poll_chunk(
    to: &mut (impl AsyncWrite + Unpin),
    cx: &mut Context<'_>,
    bytes: &[u8],
    written: &mut usize,
) -> Poll<io::Result<()>> {
    let mut to = Pin::new(to);
    while *written < bytes.len() {
        match ready!(to.as_mut().poll_write(cx, &bytes[*written..]))? {
            0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            count => *written += count,
        }
    }
    to.poll_flush(cx)
}

#[cfg(test)]
mod tests {
    use futures::future::poll_fn;
    use tokio::io::AsyncReadExt as _;

    use super::{HIGH_WATER_BYTES, OutputQueue, OutputStream, OutputWriter};

    #[tokio::test]
    async fn chunks_are_written_in_queue_order() {
        // One stream behind both shows the order.
        let (ours, mut theirs) = tokio::io::duplex(3);
        let (_, ours) = tokio::io::split(ours);
        let shared = std::sync::Arc::new(std::sync::Mutex::new(ours));
        let mut writer = OutputWriter::new(Shared(shared.clone()), Shared(shared));
        let mut output = OutputQueue::default();
        for (stream, text) in [
            (OutputStream::Stderr, "one "),
            (OutputStream::Stdout, "two "),
            (OutputStream::Stdout, "three "),
            (OutputStream::Stderr, "four"),
        ] {
            output.push(stream, text.as_bytes());
        }
        let mut written = [0; 18];
        let write = async {
            while !(output.is_empty() && writer.is_idle()) {
                poll_fn(|cx| writer.poll_write(cx, &mut output))
                    .await
                    .unwrap();
            }
        };
        let ((), read) = tokio::join!(write, theirs.read_exact(&mut written));
        read.unwrap();
        assert_eq!(&written, b"one two three four");
    }

    #[test]
    fn queue_is_full_at_the_high_water_mark() {
        let mut output = OutputQueue::default();
        output.push(OutputStream::Stdout, &vec![0; HIGH_WATER_BYTES - 1]);
        assert!(output.has_room());
        output.push(OutputStream::Stderr, &[0]);
        assert!(!output.has_room());
        assert_eq!(output.take().len(), 2);
        assert!(output.has_room() && output.is_empty());
    }

    struct Shared<W>(std::sync::Arc<std::sync::Mutex<W>>);

    impl<W: tokio::io::AsyncWrite + Unpin> tokio::io::AsyncWrite for Shared<W> {
        fn poll_write(
            self: std::pin::Pin<&mut Self>,
            cx: &mut std::task::Context<'_>,
            bytes: &[u8],
        ) -> std::task::Poll<std::io::Result<usize>> {
            std::pin::Pin::new(&mut *self.0.lock().unwrap()).poll_write(cx, bytes)
        }

        fn poll_flush(
            self: std::pin::Pin<&mut Self>,
            cx: &mut std::task::Context<'_>,
        ) -> std::task::Poll<std::io::Result<()>> {
            std::pin::Pin::new(&mut *self.0.lock().unwrap()).poll_flush(cx)
        }

        fn poll_shutdown(
            self: std::pin::Pin<&mut Self>,
            cx: &mut std::task::Context<'_>,
        ) -> std::task::Poll<std::io::Result<()>> {
            std::pin::Pin::new(&mut *self.0.lock().unwrap()).poll_shutdown(cx)
        }
    }
}
