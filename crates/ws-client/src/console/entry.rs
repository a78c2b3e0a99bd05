//! A piece of the input that the session handles.

use crate::websocket::{Bytes, CloseFrame};

/// A piece of the input that the session handles.
#[derive(Debug)]
pub(crate) enum Entry {
    /// A line or record, which is a text message or a login.
    Line(String),
    /// Bytes, which are a binary message. There are none at a prompt for a login.
    Chunk(Bytes),
    /// The payload of a ping.
    Ping(Bytes),
    /// The Close frame that ends the session.
    Close(CloseFrame),
}

impl Entry {
    /// Returns the line.
    pub(crate) fn into_line(self) -> Option<String> {
        match self {
            Self::Line(line) => Some(line),
            Self::Chunk(_) | Self::Ping(_) | Self::Close(_) => None,
        }
    }
}
