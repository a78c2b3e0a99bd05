//! A stream that counts its bytes, and looks for the close code. A connection on which bytes move is alive, however long a
//! message takes.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::close_code::CloseCodeReader;

/// A stream and the number of bytes that passed it in each direction.
#[derive(Debug)]
pub(crate) struct Metered<S> {
    stream: S,
    received: u64,
    written: u64,
    close_code: CloseCodeReader,
}

impl<S> Metered<S> {
    /// Creates a metered stream. The server sent `before` already.
    pub(crate) fn new(stream: S, before: &[u8]) -> Self {
        let mut close_code = CloseCodeReader::default();
        close_code.push(before);
        Self {
            stream,
            received: 0,
            written: 0,
            close_code,
        }
    }

    /// Returns the close code that the server sent, if any.
    pub(crate) fn close_code(&self) -> Option<u16> {
        self.close_code.code()
    }

    /// Returns the number of bytes that were received so far.
    pub(crate) fn received(&self) -> u64 {
        self.received
    }

    /// Returns the number of bytes that were written so far.
    pub(crate) fn written(&self) -> u64 {
        self.written
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let this = &mut *self;
        ready!(Pin::new(&mut this.stream).poll_read(cx, buffer))?;
        let received = &buffer.filled()[before..];
        this.received += received.len() as u64;
        this.close_code.push(received);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes))?;
        self.written += written as u64;
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
