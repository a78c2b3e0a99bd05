//! The rest of a message that is being written to a backend.

use bytes::{Buf as _, Bytes};

/// The rest of a message that is being written to a backend.
#[derive(Debug, Default)]
pub(super) struct Unwritten {
    rest: Bytes,
    /// The length of the message, whose memory is kept until all of it is written.
    held: usize,
}

impl Unwritten {
    /// Returns the bytes that are not written yet.
    pub(super) fn rest(&self) -> &[u8] {
        &self.rest
    }

    /// Returns true if all bytes are written.
    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Returns the number of bytes that are held.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    /// Notes that this number of bytes was written.
    pub(super) fn advance(&mut self, written: usize) {
        self.rest.advance(written);
        if self.rest.is_empty() {
            *self = Self::default();
        }
    }
}

impl From<Bytes> for Unwritten {
    fn from(message: Bytes) -> Self {
        Self {
            held: message.len(),
            rest: message,
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::Unwritten;

    #[test]
    fn message_is_held_until_all_is_written() {
        let mut unwritten = Unwritten::from(Bytes::from_static(b"hello"));
        unwritten.advance(4);
        assert_eq!((unwritten.rest(), unwritten.held()), (&b"o"[..], 5));
        unwritten.advance(1);
        assert!(unwritten.is_empty());
        assert_eq!(unwritten.held(), 0);
    }
}
