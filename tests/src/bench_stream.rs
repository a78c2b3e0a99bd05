//! The stream of a load connection, plain or TLS.

use std::io::{self, Read as _, Write as _};

use tokio::{
    io::{Interest, Ready},
    net::TcpStream,
};
use tokio_rustls::{client::TlsStream, rustls::ClientConnection};

/// A stream with non-blocking reads and writes.
#[derive(Debug)]
pub(crate) enum BenchStream {
    /// A TCP stream.
    Plain(TcpStream),
    /// A TLS stream.
    Tls(Box<TlsClientStream>),
}

/// The client side of a TLS stream.
#[derive(Debug)]
pub(crate) struct TlsClientStream {
    stream: TcpStream,
    session: ClientConnection,
}

impl From<TlsStream<TcpStream>> for BenchStream {
    fn from(stream: TlsStream<TcpStream>) -> Self {
        let (stream, session) = stream.into_inner();
        Self::Tls(Box::new(TlsClientStream { stream, session }))
    }
}

impl BenchStream {
    /// Waits until the stream is readable, or also writable if `writes` is set.
    pub(crate) async fn ready(&self, writes: bool) -> io::Result<Ready> {
        let (stream, writes) = match self {
            Self::Plain(stream) => (stream, writes),
            Self::Tls(tls) => (&tls.stream, writes || tls.session.wants_write()),
        };
        let interest = if writes {
            Interest::READABLE | Interest::WRITABLE
        } else {
            Interest::READABLE
        };
        stream.ready(interest).await
    }

    /// Reads available bytes.
    pub(crate) fn try_read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.try_read(bytes),
            Self::Tls(tls) => tls.try_read(bytes),
        }
    }

    /// Writes as many bytes as fit.
    pub(crate) fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.try_write(bytes),
            Self::Tls(tls) => tls.try_write(bytes),
        }
    }
}

impl TlsClientStream {
    fn try_read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        loop {
            match self.session.reader().read(&mut bytes[filled..]) {
                Ok(read) => filled += read,
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
                Err(_) => {}
            }
            if filled == bytes.len() {
                return Ok(filled);
            }
            match self.session.read_tls(&mut NonBlocking(&self.stream)) {
                Ok(0) => return Ok(filled),
                Ok(_) => {
                    let processed = self.session.process_new_packets();
                    processed.map_err(io::Error::other)?;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && filled > 0 => {
                    return Ok(filled);
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.flush()?;
        // The writer accepts only what its buffer holds.
        let written = self.session.writer().write(bytes)?;
        match self.flush() {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            // The next write flushes the rest first.
            _ => Ok(written),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        while self.session.wants_write() {
            self.session.write_tls(&mut NonBlocking(&self.stream))?;
        }
        Ok(())
    }
}

/// An adapter that reads and writes without blocking.
struct NonBlocking<'a>(&'a TcpStream);

impl io::Read for NonBlocking<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(bytes)
    }
}

impl io::Write for NonBlocking<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn write_vectored(&mut self, buffers: &[io::IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write_vectored(buffers)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
