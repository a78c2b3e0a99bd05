//! The buffer of short frames that are not yet written to the stream.

use std::{cell::Cell, mem};

thread_local! {
    /// Empty before the first frame, and while a connection uses it.
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Bytes that are not yet written to the stream. While they wait for the flush of the same poll, they
/// are in scratch memory of the thread. So an idle connection owns no write buffer.
#[derive(Debug, Default)]
pub(crate) struct OutputBuffer {
    bytes: Vec<u8>,
    /// The number of bytes at the start that are already written.
    written: usize,
    is_scratch: bool,
}

impl OutputBuffer {
    /// Returns the bytes that are not yet written.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[self.written..]
    }

    /// Returns the number of these bytes.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() - self.written
    }

    /// Appends these pieces. The caller must bound the length.
    pub(crate) fn append(&mut self, pieces: &[&[u8]]) {
        if self.bytes.is_empty() && !self.is_scratch {
            self.bytes = SCRATCH.take();
            self.is_scratch = true;
        }
        for piece in pieces {
            self.bytes.extend_from_slice(piece);
        }
    }

    /// Removes the first `count` bytes, which are written. There must be as many.
    pub(crate) fn advance(&mut self, count: usize) {
        self.written += count;
    }

    /// Releases the memory of the written bytes. Call it after each attempt to write: the next
    /// connection of the thread would allocate other scratch memory.
    pub(crate) fn release(&mut self) {
        if self.is_scratch {
            let left = self.bytes().to_vec();
            let mut scratch = mem::replace(&mut self.bytes, left);
            scratch.clear();
            SCRATCH.set(scratch);
            self.is_scratch = false;
        } else if self.len() == 0 {
            self.bytes = Vec::new();
        } else {
            self.bytes.drain(..self.written);
        }
        self.written = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::OutputBuffer;

    #[test]
    fn bytes_kept_in_order_over_releases() {
        let mut output = OutputBuffer::default();
        output.append(&[b"ab", b"cd"]);
        output.advance(1);
        output.release();
        assert_eq!(output.bytes(), b"bcd");
        output.append(&[b"ef"]);
        output.advance(3);
        output.append(&[b"g"]);
        output.release();
        assert_eq!(output.bytes(), b"efg");
        output.advance(3);
        assert_eq!(output.len(), 0);
        output.release();
        output.append(&[b"h"]);
        assert_eq!(output.bytes(), b"h");
    }

    #[test]
    fn idle_buffer_owns_no_memory() {
        let mut output = OutputBuffer::default();
        for written in [10_000, 9_000] {
            output.append(&[&[0; 10_000]]);
            output.advance(written);
            output.release();
            assert_eq!(output.bytes.capacity(), 10_000 - written);
        }
        output.advance(1_000);
        output.release();
        assert_eq!(output.bytes.capacity(), 0);
    }

    #[test]
    fn scratch_shared_by_connections_of_a_thread() {
        let mut first = OutputBuffer::default();
        first.append(&[&[0; 10_000]]);
        let address = first.bytes().as_ptr();
        first.advance(10_000);
        first.release();
        let mut second = OutputBuffer::default();
        second.append(&[b"a"]);
        assert_eq!(second.bytes().as_ptr(), address);
    }
}
