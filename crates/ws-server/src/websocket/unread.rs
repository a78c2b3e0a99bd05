//! What was read from a stream and not yet passed on.

use std::{
    cell::Cell,
    ops::Range,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf as _, Bytes};
use tokio::io::{self, AsyncRead, ReadBuf};

/// What one read may take from a socket. All connections of a thread read into the same piece of
/// memory, so that an idle connection owns none of it.
const SCRATCH_BYTES: usize = 256 * 1024;

thread_local! {
    /// Absent while a connection has it.
    static SCRATCH: Cell<Option<Box<[u8]>>> = const { Cell::new(None) };
}

/// Bytes that wait to be passed on.
#[derive(Debug)]
pub(crate) enum Unread {
    /// They have memory of their own, while there are any.
    Kept(Bytes),
    /// They are still in the memory of the thread, where they were read to.
    InScratch(Box<[u8]>, Range<usize>),
}

impl Unread {
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Kept(bytes) => bytes,
            Self::InScratch(scratch, range) => &scratch[range.clone()],
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes().is_empty()
    }

    /// The first bytes were passed on.
    pub(crate) fn advance(&mut self, passed: usize) {
        match self {
            Self::Kept(bytes) => bytes.advance(passed),
            Self::InScratch(_, range) => range.start += passed,
        }
    }

    /// Reads as much as one read yields, but no more than this, in place of what there was.
    pub(crate) fn poll_fill<S: AsyncRead + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        io: &mut S,
        most: usize,
    ) -> Poll<io::Result<()>> {
        let mut scratch = match std::mem::take(self) {
            Self::InScratch(scratch, _) => scratch,
            Self::Kept(_) => SCRATCH
                .take()
                .unwrap_or_else(|| vec![0; SCRATCH_BYTES].into()),
        };
        let mut read = ReadBuf::new(&mut scratch[..most.min(SCRATCH_BYTES)]);
        let poll = Pin::new(io).poll_read(cx, &mut read);
        let filled = read.filled().len();
        *self = Self::InScratch(scratch, 0..filled);
        ready!(poll)?;
        Poll::Ready(Ok(()))
    }

    /// Gives the memory of the thread back: other connections may have their turn now.
    pub(crate) fn settle(&mut self) {
        if let Self::InScratch(scratch, range) = self {
            let kept = Bytes::copy_from_slice(&scratch[range.clone()]);
            SCRATCH.set(Some(std::mem::take(scratch)));
            *self = Self::Kept(kept);
        }
    }
}

impl Default for Unread {
    fn default() -> Self {
        Self::Kept(Bytes::new())
    }
}
