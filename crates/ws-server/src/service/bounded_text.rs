//! A text that is written up to a maximum length.

use std::{fmt, io};

use crate::session::Text;

/// A text that is written up to a maximum length. A write beyond it fails, before memory is reserved.
#[derive(Debug)]
pub(super) struct BoundedText {
    bytes: Vec<u8>,
    max_bytes: usize,
}

/// The text exceeds its maximum length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooLong;

impl BoundedText {
    /// Creates an empty text of at most this many bytes.
    pub(super) fn new(max_bytes: usize) -> Self {
        Self {
            // Most messages of a room fit into it.
            bytes: Vec::with_capacity(128),
            max_bytes,
        }
    }

    /// Returns the text.
    ///
    /// # Errors
    ///
    /// The bytes are not UTF-8, which no formatter writes.
    pub(super) fn finish(self) -> Result<Text, TooLong> {
        let text = String::from_utf8(self.bytes).map_err(|_| TooLong)?;
        Ok(text.into())
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), TooLong> {
        if bytes.len() > self.max_bytes - self.bytes.len() {
            return Err(TooLong);
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }
}

impl io::Write for BoundedText {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.append(bytes)
            .map_err(|TooLong| io::Error::from(io::ErrorKind::FileTooLarge))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Write for BoundedText {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.append(text.as_bytes()).map_err(|TooLong| fmt::Error)
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::{BoundedText, TooLong};
    use crate::session::Text;

    #[test]
    fn text_longer_than_maximum_fails() {
        let mut text = BoundedText::new(5);
        assert!(write!(text, "{}", 1234).is_ok());
        assert_eq!(text.append(b"ef"), Err(TooLong));
        assert_eq!(text.append(b"e"), Ok(()));
        assert_eq!(text.finish(), Ok(Text::from("1234e".to_owned())));
    }
}
