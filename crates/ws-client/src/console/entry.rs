//! A piece of the input that the session handles.

use crate::websocket::Bytes;

/// A piece of the input that the session handles.
#[derive(Debug)]
pub(crate) enum Entry {
    /// A line or record, which is a text message or a login.
    Line(String),
    /// Bytes of a stream, which are a binary message. There is none at a prompt for a login.
    Chunk(Bytes),
}

impl Entry {
    /// Returns the line.
    pub(crate) fn into_line(self) -> Option<String> {
        match self {
            Self::Line(line) => Some(line),
            Self::Chunk(_) => None,
        }
    }
}
