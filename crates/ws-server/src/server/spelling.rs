//! The spelling of field names in the response to a handshake.
//!
//! hyper writes `Sec-Websocket-Accept`, and its map of spellings is private. Names are compared
//! without case (RFC 9110 section 5.1), but small clients compare the bytes of RFC 6455. So the
//! stream under hyper corrects the bytes of a 101. The length stays the same.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The start of the only response that is changed.
const SWITCHING_PROTOCOLS: &[u8] = b"HTTP/1.1 101 ";

/// The spelling of hyper, as the start of a field line.
const WRITTEN: &[u8] = b"\r\nSec-Websocket-";

/// The spelling of RFC 6455, of the same length.
const STANDARD: &[u8] = b"\r\nSec-WebSocket-";

/// A stream that corrects the field names of the first response, if it is a 101.
///
/// hyper writes the head of a response as a whole. If the peer does not accept all of it at once,
/// each later piece is corrected at its offset.
#[derive(Debug)]
pub(super) struct StandardSpelling<S> {
    io: S,
    /// The number of bytes written.
    written: usize,
    /// The positions of names to correct in the output. `None` before the first write.
    names: Option<Vec<usize>>,
}

impl<S> StandardSpelling<S> {
    pub(super) fn new(io: S) -> Self {
        Self {
            io,
            written: 0,
            names: None,
        }
    }

    pub(super) fn into_inner(self) -> S {
        self.io
    }

    /// Returns a corrected copy of the bytes at the current offset, if they contain a part of a name.
    fn corrected(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        let names = self.names.get_or_insert_with(|| find_names(bytes));
        let (start, end) = (self.written, self.written + bytes.len());
        let mut copy = None;
        for name in names.iter() {
            for (offset, byte) in (*name..).zip(STANDARD) {
                if (start..end).contains(&offset) {
                    copy.get_or_insert_with(|| bytes.to_vec())[offset - start] = *byte;
                }
            }
        }
        copy
    }
}

/// Returns the positions of the names to correct in the head of a 101.
fn find_names(bytes: &[u8]) -> Vec<usize> {
    if !bytes.starts_with(SWITCHING_PROTOCOLS) {
        return Vec::new();
    }
    // The first piece that hyper writes is the whole head. A 101 has no body.
    let windows = bytes.windows(WRITTEN.len()).enumerate();
    windows
        .filter(|(_, window)| *window == WRITTEN)
        .map(|(position, _)| position)
        .collect()
}

impl<S: AsyncWrite + Unpin> AsyncWrite for StandardSpelling<S> {
    // Not vectored: hyper then writes each response as one piece.
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let corrected = this.corrected(bytes);
        let bytes = corrected.as_deref().unwrap_or(bytes);
        let written = ready!(Pin::new(&mut this.io).poll_write(cx, bytes))?;
        this.written += written;
        Poll::Ready(Ok(written))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for StandardSpelling<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_read(cx, buffer)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::StandardSpelling;

    /// Returns the output for this input, which the peer accepts in pieces of `room` bytes.
    async fn written(bytes: &str, room: usize) -> String {
        let (io, mut peer) = duplex(room);
        let mut output = String::new();
        let writing = async move {
            let mut io = StandardSpelling::new(io);
            io.write_all(bytes.as_bytes()).await.unwrap();
        };
        let ((), read) = tokio::join!(writing, peer.read_to_string(&mut output));
        read.unwrap();
        output
    }

    /// Embedded clients compare the bytes of the field name.
    #[tokio::test]
    async fn names_of_101_corrected_in_any_pieces() {
        let head = "HTTP/1.1 101 Switching Protocols\r\nSec-Websocket-Accept: x\r\n\
                    Sec-Websocket-Protocol: Sec-Websocket-x\r\n\r\n";
        let standard = "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: x\r\n\
                        Sec-WebSocket-Protocol: Sec-Websocket-x\r\n\r\n";
        for room in [1, 7, 40, 4096] {
            assert_eq!(written(head, room).await, standard, "{room}");
        }
    }

    #[tokio::test]
    async fn other_responses_unchanged() {
        let refusal = "HTTP/1.1 426 Upgrade Required\r\nSec-Websocket-Version: 13\r\n\r\n";
        assert_eq!(written(refusal, 4096).await, refusal);
    }
}
