//! Texts on their way to stdout and stderr, in the order in which they were said.

use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::AsyncWrite;

/// How much may wait before the server is left waiting instead.
const HIGH_WATER_BYTES: usize = 64 * 1024;

/// Where a text goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Channel {
    /// stdout: the messages, and nothing else.
    Messages,
    /// stderr: everything else.
    Notices,
}

/// Texts for one channel.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) channel: Channel,
    pub(crate) bytes: Vec<u8>,
}

/// Texts that wait to be written.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    segments: VecDeque<Segment>,
    bytes: usize,
}

impl Outbox {
    pub(crate) fn push(&mut self, channel: Channel, bytes: &[u8]) {
        self.bytes += bytes.len();
        match self.segments.back_mut() {
            Some(last) if last.channel == channel => last.bytes.extend_from_slice(bytes),
            Some(_) | None => self.segments.push_back(Segment {
                channel,
                bytes: bytes.to_vec(),
            }),
        }
    }

    /// Whether little enough waits for more to be taken from the server.
    pub(crate) fn has_room(&self) -> bool {
        self.bytes < HIGH_WATER_BYTES
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// Takes everything.
    pub(crate) fn take(&mut self) -> Vec<Segment> {
        self.bytes = 0;
        self.segments.drain(..).collect()
    }

    fn next(&mut self) -> Option<Segment> {
        let segment = self.segments.pop_front()?;
        self.bytes -= segment.bytes.len();
        Some(segment)
    }
}

/// Writes an outbox to two streams.
#[derive(Debug)]
pub(crate) struct Writer<O, E> {
    messages: O,
    notices: E,
    /// What is being written, and how much of it was.
    current: Option<(Segment, usize)>,
}

impl<O, E> Writer<O, E>
where
    O: AsyncWrite + Unpin,
    E: AsyncWrite + Unpin,
{
    pub(crate) fn new(messages: O, notices: E) -> Self {
        Self {
            messages,
            notices,
            current: None,
        }
    }

    /// Whether nothing is being written.
    pub(crate) fn is_idle(&self) -> bool {
        self.current.is_none()
    }

    /// Writes and flushes the next segment. It is pending as well when there is none.
    ///
    /// # Errors
    ///
    /// Messages cannot be written. Notices are dropped if they cannot be: nobody could be told.
    pub(crate) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        outbox: &mut Outbox,
    ) -> Poll<io::Result<()>> {
        if self.current.is_none() {
            self.current = outbox.next().map(|segment| (segment, 0));
        }
        let Some((segment, written)) = &mut self.current else {
            return Poll::Pending;
        };
        let channel = segment.channel;
        let done = match channel {
            Channel::Messages => poll_segment(&mut self.messages, cx, &segment.bytes, written),
            Channel::Notices => poll_segment(&mut self.notices, cx, &segment.bytes, written),
        };
        let result = ready!(done);
        self.current = None;
        Poll::Ready(match channel {
            Channel::Messages => result,
            Channel::Notices => Ok(()),
        })
    }
}

fn poll_segment(
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

    use super::{Channel, HIGH_WATER_BYTES, Outbox, Writer};

    #[tokio::test]
    async fn texts_are_written_in_the_order_in_which_they_were_said() {
        // One stream behind both channels shows the order.
        let (ours, mut theirs) = tokio::io::duplex(3);
        let (_, ours) = tokio::io::split(ours);
        let shared = std::sync::Arc::new(std::sync::Mutex::new(ours));
        let mut writer = Writer::new(Shared(shared.clone()), Shared(shared));
        let mut outbox = Outbox::default();
        for (channel, text) in [
            (Channel::Notices, "one "),
            (Channel::Messages, "two "),
            (Channel::Messages, "three "),
            (Channel::Notices, "four"),
        ] {
            outbox.push(channel, text.as_bytes());
        }
        let mut written = [0; 18];
        let write = async {
            while !(outbox.is_empty() && writer.is_idle()) {
                poll_fn(|cx| writer.poll_write(cx, &mut outbox))
                    .await
                    .unwrap();
            }
        };
        let ((), read) = tokio::join!(write, theirs.read_exact(&mut written));
        read.unwrap();
        assert_eq!(&written, b"one two three four");
    }

    #[test]
    fn is_full_before_it_is_large() {
        let mut outbox = Outbox::default();
        outbox.push(Channel::Messages, &vec![0; HIGH_WATER_BYTES - 1]);
        assert!(outbox.has_room());
        outbox.push(Channel::Notices, &[0]);
        assert!(!outbox.has_room());
        assert_eq!(outbox.take().len(), 2);
        assert!(outbox.has_room() && outbox.is_empty());
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
