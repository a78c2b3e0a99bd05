//! The buffer of bytes that were read from the stream and are not yet decoded.

use std::{
    cell::Cell,
    ops::Range,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf as _, Bytes};
use tokio::io::{self, AsyncRead, ReadBuf};

/// The maximum length of one read, in bytes. All connections of a thread read into the same scratch
/// memory, so an idle connection owns no read buffer. Four reads take a frame of 1 MiB with its header; a
/// fifth one for its last bytes costs 5 %.
const SCRATCH_BYTES: usize = 257 * 1024;

thread_local! {
    /// `None` before the first read, and while a connection uses it.
    static SCRATCH: Cell<Option<Box<[u8]>>> = const { Cell::new(None) };
}

/// Bytes that were read from the stream and are not yet decoded.
#[derive(Debug)]
pub(crate) enum InputBuffer {
    /// Bytes in their own memory; may be empty.
    Owned(Bytes),
    /// Bytes in the scratch memory of the thread.
    Scratch(Box<[u8]>, Range<usize>),
}

impl InputBuffer {
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Owned(bytes) => bytes,
            Self::Scratch(scratch, range) => &scratch[range.clone()],
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes().is_empty()
    }

    /// Removes the first `count` bytes. There must be as many.
    pub(crate) fn advance(&mut self, count: usize) {
        match self {
            Self::Owned(bytes) => bytes.advance(count),
            Self::Scratch(_, range) => range.start += count,
        }
    }

    /// Replaces the content by one read of at most `max_bytes`. An empty result is the end of the
    /// stream. Afterwards the buffer holds the scratch memory, even if the read is pending.
    ///
    /// # Errors
    ///
    /// The read failed.
    pub(crate) fn poll_fill<S: AsyncRead + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        io: &mut S,
        max_bytes: usize,
    ) -> Poll<io::Result<()>> {
        let mut scratch = match std::mem::take(self) {
            Self::Scratch(scratch, _) => scratch,
            Self::Owned(_) => SCRATCH
                .take()
                .unwrap_or_else(|| vec![0; SCRATCH_BYTES].into()),
        };
        let mut read = ReadBuf::new(&mut scratch[..max_bytes.min(SCRATCH_BYTES)]);
        let poll = Pin::new(io).poll_read(cx, &mut read);
        let filled = read.filled().len();
        *self = Self::Scratch(scratch, 0..filled);
        ready!(poll)?;
        Poll::Ready(Ok(()))
    }

    /// Copies the remaining bytes and returns the scratch memory to the thread. Call it before the task
    /// yields: the next connection of the thread would allocate other scratch memory.
    pub(crate) fn release_scratch(&mut self) {
        if let Self::Scratch(scratch, range) = self {
            let kept = Bytes::copy_from_slice(&scratch[range.clone()]);
            SCRATCH.set(Some(std::mem::take(scratch)));
            *self = Self::Owned(kept);
        }
    }
}

impl Default for InputBuffer {
    fn default() -> Self {
        Self::Owned(Bytes::new())
    }
}
