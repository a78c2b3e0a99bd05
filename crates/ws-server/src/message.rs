//! Data messages (RFC 6455 section 5.6), as services send and receive them.

use std::ops::Deref;

use bytes::{Buf as _, Bytes, buf::Chain};
use tokio_tungstenite::tungstenite::{self, Utf8Bytes};

/// The length above which a message is written without a copy to the write buffer, in bytes. For
/// longer messages the copy costs more than a separate write.
pub(crate) const LONG_BYTES: usize = 16 * 1024;

/// The header of an unmasked frame (RFC 6455 section 5.2).
#[derive(Debug, Clone, Copy)]
pub(crate) struct FrameHeader {
    bytes: [u8; 10],
    len: usize,
}

impl FrameHeader {
    /// Creates the header of a message in a single frame. `opcode` is that of a text or binary message.
    fn new(opcode: u8, payload: usize) -> Self {
        // With the FIN bit.
        let mut bytes = [0x80 | opcode, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let len = match (u8::try_from(payload), u16::try_from(payload)) {
            (Ok(short @ ..126), _) => {
                bytes[1] = short;
                2
            }
            (_, Ok(medium)) => {
                bytes[1] = 126;
                bytes[2..4].copy_from_slice(&medium.to_be_bytes());
                4
            }
            (_, Err(_)) => {
                bytes[1] = 127;
                bytes[2..].copy_from_slice(&(payload as u64).to_be_bytes());
                10
            }
        };
        Self { bytes, len }
    }

    /// Creates the header of a text message.
    pub(crate) fn of_text(payload: usize) -> Self {
        Self::new(0x1, payload)
    }

    /// Returns the bytes.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// A complete data message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// A text message.
    Text(Text),
    /// A binary message.
    Binary(Bytes),
}

impl Message {
    /// Returns the length of the payload, in bytes.
    pub fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(bytes) => bytes.len(),
        }
    }

    /// Returns the payload.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }

    /// Returns the header of the message as a single frame.
    pub(crate) fn header(&self) -> FrameHeader {
        match self {
            Self::Text(text) => FrameHeader::of_text(text.len()),
            Self::Binary(bytes) => FrameHeader::new(0x2, bytes.len()),
        }
    }

    /// Encodes the message as a single frame, without a copy of the payload.
    pub(crate) fn into_frame(self) -> Chain<Bytes, Bytes> {
        let header = Bytes::copy_from_slice(self.header().as_bytes());
        let payload = match self {
            Self::Text(text) => text.into(),
            Self::Binary(bytes) => bytes,
        };
        header.chain(payload)
    }

    /// Returns true if the payload is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl From<String> for Message {
    fn from(text: String) -> Self {
        Self::Text(Text(text.into()))
    }
}

impl From<&'static str> for Message {
    fn from(text: &'static str) -> Self {
        Self::Text(Text(Utf8Bytes::from_static(text)))
    }
}

impl From<Bytes> for Message {
    fn from(bytes: Bytes) -> Self {
        Self::Binary(bytes)
    }
}

impl From<Message> for tungstenite::Message {
    fn from(message: Message) -> Self {
        match message {
            Message::Text(Text(text)) => Self::Text(text),
            Message::Binary(bytes) => Self::Binary(bytes),
        }
    }
}

/// The payload of a text message. Clones share the bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text(pub(crate) Utf8Bytes);

impl From<String> for Text {
    fn from(mut text: String) -> Self {
        // Queues and histories count the length. A string that grew may have twice that capacity.
        text.shrink_to_fit();
        Self(text.into())
    }
}

impl From<Text> for Bytes {
    fn from(text: Text) -> Self {
        text.0.into()
    }
}

impl From<Text> for Message {
    fn from(text: Text) -> Self {
        Self::Text(text)
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        self.0.as_str()
    }
}

#[cfg(test)]
mod tests {
    use bytes::{Buf as _, Bytes};
    use raw_peer::frame::Frame;

    use super::{Message, Text};

    #[test]
    fn frame_contains_whole_message() {
        for length in [0, 125, 126, 65_535, 65_536, 100_000] {
            for (message, first) in [
                (Message::from("x".repeat(length)), 0x81),
                (Message::from(Bytes::from(vec![b'x'; length])), 0x82),
            ] {
                let mut frame = message.into_frame();
                let bytes = frame.copy_to_bytes(frame.remaining());
                let expected = Frame {
                    first,
                    payload: vec![b'x'; length],
                };
                assert!(
                    Frame::parse(&bytes) == Some((expected, bytes.len())),
                    "{length}"
                );
            }
        }
    }

    #[test]
    fn text_capacity_shrunk_to_length() {
        let mut written = String::with_capacity(1000);
        written.push_str("hello");
        let bytes = Bytes::from(Text::from(written).0);
        assert_eq!(Vec::from(bytes).capacity(), 5);
    }
}
