//! The lines of a byte stream.

use bytes::{Bytes, BytesMut};

/// The capacity above which an empty buffer is released, in bytes.
const KEPT_BYTES: usize = 64 * 1024;

/// A buffer that splits a byte stream into lines of a bounded length.
#[derive(Debug)]
pub(super) struct Lines {
    buffer: BytesMut,
    /// The number of bytes at the start of the buffer that have no line break.
    scanned: usize,
    max_bytes: usize,
}

/// A line is longer than allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LineTooLong;

impl Lines {
    /// Creates an empty buffer for lines of at most `max_bytes` bytes.
    pub(super) fn new(max_bytes: usize) -> Self {
        Self {
            buffer: BytesMut::new(),
            scanned: 0,
            max_bytes,
        }
    }

    /// Appends bytes of the stream.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Returns the capacity of the buffer.
    pub(super) fn held(&self) -> usize {
        self.buffer.capacity()
    }

    /// Releases the buffer if it is empty.
    pub(super) fn release(&mut self) {
        if self.buffer.is_empty() {
            self.buffer = BytesMut::new();
        }
    }

    /// Returns the next complete line, without its line break (`\n` or `\r\n`).
    ///
    /// # Errors
    ///
    /// The line is too long.
    pub(super) fn next_line(&mut self) -> Result<Option<Bytes>, LineTooLong> {
        let unscanned = &self.buffer[self.scanned..];
        let Some(length) = unscanned.iter().position(|byte| *byte == b'\n') else {
            self.scanned = self.buffer.len();
            // A `\r` may be part of the line break.
            return if self.scanned > self.max_bytes + 1 {
                Err(LineTooLong)
            } else {
                Ok(None)
            };
        };
        let line = self.buffer.split_to(self.scanned + length + 1).freeze();
        self.scanned = 0;
        if self.buffer.is_empty() && self.buffer.capacity() > KEPT_BYTES {
            self.buffer = BytesMut::new();
        }
        self.bounded(without_break(line)).map(Some)
    }

    /// Returns the rest of a stream that has ended, if any: a line without a line break.
    ///
    /// # Errors
    ///
    /// The line is too long.
    pub(super) fn rest(&mut self) -> Result<Option<Bytes>, LineTooLong> {
        self.scanned = 0;
        let rest = self.buffer.split().freeze();
        if rest.is_empty() {
            return Ok(None);
        }
        self.bounded(rest).map(Some)
    }

    fn bounded(&self, line: Bytes) -> Result<Bytes, LineTooLong> {
        if line.len() > self.max_bytes {
            Err(LineTooLong)
        } else {
            Ok(line)
        }
    }
}

fn without_break(mut line: Bytes) -> Bytes {
    for byte in [b'\n', b'\r'] {
        if line.last() == Some(&byte) {
            line.truncate(line.len() - 1);
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::{LineTooLong, Lines};

    /// Returns the lines of a stream that arrives in these pieces.
    fn lines(max_bytes: usize, pieces: &[&str]) -> Result<Vec<String>, LineTooLong> {
        let mut lines = Lines::new(max_bytes);
        let mut all = Vec::new();
        for piece in pieces {
            lines.push(piece.as_bytes());
            while let Some(line) = lines.next_line()? {
                all.push(line);
            }
        }
        all.extend(lines.rest()?);
        let text = |line: &bytes::Bytes| String::from_utf8(line.to_vec()).unwrap();
        Ok(all.iter().map(text).collect())
    }

    #[test]
    fn lines_split_at_any_piece() {
        let expected = ["one", "", "two", "\r", "last"];
        let stream = "one\n\r\ntwo\r\n\r\r\nlast";
        assert_eq!(lines(4, &[stream]).unwrap(), expected);
        let bytes: Vec<_> = stream.split_inclusive(|_| true).collect();
        assert_eq!(lines(4, &bytes).unwrap(), expected);
        assert_eq!(lines(4, &["one\n"]).unwrap(), ["one"]);
        assert_eq!(lines(4, &["\n"]).unwrap(), [""]);
        assert!(lines(4, &[]).unwrap().is_empty());
    }

    #[test]
    fn overlong_line_refused() {
        assert_eq!(lines(4, &["1234\r\n", "1234"]).unwrap(), ["1234", "1234"]);
        for pieces in [&["12345\n"][..], &["123", "456"], &["12345"]] {
            assert_eq!(lines(4, pieces), Err(LineTooLong), "{pieces:?}");
        }
    }
}
