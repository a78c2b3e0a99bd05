//! The bytes of a response, split into heads and the data after them.

use std::time::Duration;

use proto::escape::Escaped;

use super::response::{Head, final_head};

/// The number of body bytes that are shown.
pub const MAX_BODY_BYTES: usize = 512;

/// All bytes of a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawResponse {
    /// The informational heads, the final head, and the data after it.
    pub bytes: Vec<u8>,
    /// The offset of the final head, after the informational ones.
    start: usize,
    /// The end of the final head, or the reason why it is incomplete.
    end: Result<usize, ReadError>,
}

/// The reason why the final head is incomplete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadError {
    /// The server closed the connection.
    Closed,
    /// The head was not complete within this time.
    TimedOut(Duration),
    /// The heads exceed `MAX_HEAD_BYTES`.
    TooLong,
}

impl RawResponse {
    /// Finds the final head. `read_error` is recorded if the head is incomplete.
    pub fn new(bytes: Vec<u8>, read_error: ReadError) -> Self {
        let found = final_head(&bytes);
        Self {
            bytes,
            start: found.start,
            end: found.end.ok_or(read_error),
        }
    }

    /// Returns the reason why the final head is incomplete, or `None` if it is complete.
    pub fn incomplete(&self) -> Option<ReadError> {
        self.end.err()
    }

    /// Returns the received bytes of all heads.
    pub fn heads(&self) -> &[u8] {
        &self.bytes[..self.end.unwrap_or(self.bytes.len())]
    }

    /// Returns the received bytes of the final head.
    pub fn final_head(&self) -> &[u8] {
        &self.heads()[self.start..]
    }

    /// Returns the data after the heads: the first frames, or the encoded body of a refusal.
    pub fn rest(&self) -> &[u8] {
        &self.bytes[self.heads().len()..]
    }

    /// Returns the received bytes of a refusal's body, without chunked encoding.
    pub fn body(&self) -> Vec<u8> {
        if Head::parse(self.final_head()).names("Transfer-Encoding", "chunked") {
            decode_chunks(self.rest())
        } else {
            self.rest().to_vec()
        }
    }
}

/// Decodes chunks (RFC 9112 section 7.1) up to their end or the first malformed one.
fn decode_chunks(mut rest: &[u8]) -> Vec<u8> {
    let mut data = Vec::new();
    while let Ok(httparse::Status::Complete((start, length @ 1..))) =
        httparse::parse_chunk_size(rest)
    {
        let after_size = &rest[start..];
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let (chunk, next) = after_size.split_at(length.min(after_size.len()));
        data.extend_from_slice(chunk);
        rest = next.strip_prefix(b"\r\n").unwrap_or_default();
    }
    data
}

/// Returns the first `max` bytes of a text, escaped and without line breaks at the end. If there are
/// more bytes, their number follows.
pub fn excerpt(bytes: &[u8], max: usize) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(max)]);
    let more = bytes.len().saturating_sub(max);
    let text = Escaped(text.trim_end_matches(['\r', '\n']));
    match more {
        0 => text.to_string(),
        more => format!("{text}... ({more} more bytes)"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{RawResponse, ReadError, decode_chunks};

    #[test]
    fn informational_heads_precede_the_final_one() {
        let response = RawResponse::new(
            b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 100\n\n\
              HTTP/1.1 101 Go\r\n\r\nframes"
                .to_vec(),
            ReadError::Closed,
        );
        assert_eq!(response.incomplete(), None);
        assert_eq!(response.final_head(), b"HTTP/1.1 101 Go\r\n\r\n");
        assert_eq!(response.rest(), b"frames");
        assert!(response.heads().starts_with(b"HTTP/1.1 103"));
    }

    #[test]
    fn informational_head_alone_is_incomplete() {
        let bytes = b"HTTP/1.1 103 Early Hints\r\n\r\n".to_vec();
        let response = RawResponse::new(bytes, ReadError::Closed);
        assert_eq!(response.incomplete(), Some(ReadError::Closed));
        assert_eq!(response.final_head(), b"");
    }

    #[test]
    fn chunked_body_is_decoded() {
        for (bytes, data) in [
            (&b"4\r\nfull\r\n3;x=y\r\n up\r\n0\r\n\r\n"[..], "full up"),
            (b"A\r\nonly so mu", "only so mu"),
            (b"ffffffffffffffff\r\nendless", "endless"),
            (b"4\r\nfull and more\r\n", "full"),
            (b"0\r\n\r\n", ""),
            (b"no chunk", ""),
            (b"4", ""),
        ] {
            assert_eq!(decode_chunks(bytes), data.as_bytes(), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_decode_to_no_more_than_their_length(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(decode_chunks(&bytes).len() <= bytes.len());
        }
    }
}
