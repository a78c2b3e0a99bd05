//! What came in answer to a request, taken apart into heads and what follows them.

use std::time::Duration;

use proto::escape::Escaped;

use super::response::{Head, final_head};

/// How many bytes of a body are shown.
pub const MAX_BODY_BYTES: usize = 512;

/// Everything that came in answer to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawResponse {
    /// The bytes: informational heads, the final head, and what follows it.
    pub bytes: Vec<u8>,
    /// Where the final head begins: what stands before it only informs.
    start: usize,
    /// Where the final head ends, if it came whole.
    end: Result<usize, ReadError>,
}

/// Why the final head of an answer did not come whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadError {
    /// The server closed the connection.
    Closed,
    /// The server said nothing more for this long.
    TimedOut(Duration),
    /// The heads have more bytes than anybody needs.
    TooLong,
}

impl RawResponse {
    /// Finds the final head in what came; where it is not whole, that is for the reason given.
    pub fn new(bytes: Vec<u8>, read_error: ReadError) -> Self {
        let found = final_head(&bytes);
        Self {
            bytes,
            start: found.start,
            end: found.end.ok_or(read_error),
        }
    }

    /// Why the final head did not come whole, unless it did.
    pub fn incomplete(&self) -> Option<ReadError> {
        self.end.err()
    }

    /// All heads, or as much of them as came.
    pub fn heads(&self) -> &[u8] {
        &self.bytes[..self.end.unwrap_or(self.bytes.len())]
    }

    /// The final head, or as much of it as came.
    pub fn final_head(&self) -> &[u8] {
        &self.heads()[self.start..]
    }

    /// What follows the heads: the first frames, or the body of a refusal as it was sent.
    pub fn rest(&self) -> &[u8] {
        &self.bytes[self.heads().len()..]
    }

    /// The body of a refusal, as far as it came, without the framing of chunks.
    pub fn body(&self) -> Vec<u8> {
        if Head::parse(self.final_head()).names("Transfer-Encoding", "chunked") {
            data_of_chunks(self.rest())
        } else {
            self.rest().to_vec()
        }
    }
}

/// The data of the chunks that are there (RFC 9112 section 7.1), up to where they end or break.
fn data_of_chunks(mut rest: &[u8]) -> Vec<u8> {
    let mut data = Vec::new();
    while let Ok(httparse::Status::Complete((start, length @ 1..))) =
        httparse::parse_chunk_size(rest)
    {
        let behind = &rest[start..];
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let (chunk, next) = behind.split_at(length.min(behind.len()));
        data.extend_from_slice(chunk);
        rest = next.strip_prefix(b"\r\n").unwrap_or_default();
    }
    data
}

/// The first bytes of a text, escaped.
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

    use super::{RawResponse, ReadError, data_of_chunks};

    #[test]
    fn informational_heads_stand_before_the_final_one() {
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
    fn an_informational_head_alone_is_no_answer() {
        let bytes = b"HTTP/1.1 103 Early Hints\r\n\r\n".to_vec();
        let response = RawResponse::new(bytes, ReadError::Closed);
        assert_eq!(response.incomplete(), Some(ReadError::Closed));
        assert_eq!(response.final_head(), b"");
    }

    #[test]
    fn chunks_are_taken_out_of_their_framing() {
        for (bytes, data) in [
            (&b"4\r\nfull\r\n3;x=y\r\n up\r\n0\r\n\r\n"[..], "full up"),
            (b"A\r\nonly so mu", "only so mu"),
            (b"ffffffffffffffff\r\nendless", "endless"),
            (b"4\r\nfull and more\r\n", "full"),
            (b"0\r\n\r\n", ""),
            (b"no chunk", ""),
            (b"4", ""),
        ] {
            assert_eq!(data_of_chunks(bytes), data.as_bytes(), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_have_chunks_within_them(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(data_of_chunks(&bytes).len() <= bytes.len());
        }
    }
}
