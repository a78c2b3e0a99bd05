//! The stdin of a program.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    io::AsyncWrite as _,
    net::unix::pipe::Sender,
    time::{Sleep, sleep},
};

use crate::service::unwritten::Unwritten;

/// The stdin of a program, with one message that is being written.
#[derive(Debug)]
pub(super) struct Input {
    /// `None` after the end of the input, and if the program reads no more.
    pipe: Option<Sender>,
    pending: Unwritten,
    written: u64,
    write_deadline: Duration,
    /// The deadline of a write that makes no progress.
    stalled: Option<Pin<Box<Sleep>>>,
}

/// The program has read nothing until the write deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stalled;

impl Input {
    /// Creates the input that is written to this pipe.
    pub(super) fn new(pipe: Sender, write_deadline: Duration) -> Self {
        Self {
            pipe: Some(pipe),
            pending: Unwritten::default(),
            written: 0,
            write_deadline,
            stalled: None,
        }
    }

    /// Returns the number of bytes that are held.
    pub(super) fn held(&self) -> usize {
        self.pending.held()
    }

    /// Returns the number of bytes written so far.
    pub(super) fn written(&self) -> u64 {
        self.written
    }

    /// Accepts the bytes of a message. Those before must be written.
    pub(super) fn accept(&mut self, bytes: Bytes) {
        self.pending = bytes.into();
    }

    /// Ends the input. Bytes that are not written are dropped.
    pub(super) fn end(&mut self) {
        self.pipe = None;
        self.pending = Unwritten::default();
        self.stalled = None;
    }

    /// Ready when all accepted bytes are written, or dropped because the program reads no more. It may
    /// still write then, so this is not the end of the session.
    ///
    /// # Errors
    ///
    /// The write deadline has passed without progress.
    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Stalled>> {
        while !self.pending.is_empty()
            && let Some(pipe) = &mut self.pipe
        {
            match Pin::new(pipe).poll_write(cx, self.pending.rest()) {
                Poll::Ready(Ok(written)) => {
                    self.pending.advance(written);
                    self.written += written as u64;
                    self.stalled = None;
                }
                Poll::Ready(Err(_)) => self.end(),
                Poll::Pending => {
                    let deadline = self.write_deadline;
                    let stalled = self
                        .stalled
                        .get_or_insert_with(|| Box::pin(sleep(deadline)));
                    ready!(stalled.as_mut().poll(cx));
                    return Poll::Ready(Err(Stalled));
                }
            }
        }
        self.pending = Unwritten::default();
        Poll::Ready(Ok(()))
    }
}
