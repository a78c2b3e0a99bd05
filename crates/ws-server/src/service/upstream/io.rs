//! The byte stream of an upstream.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpStream, UnixStream},
};
use tokio_rustls::client::TlsStream;

use crate::{service::upstream::UpstreamAddress, session::UpstreamTls};

/// The byte stream of an upstream.
#[derive(Debug)]
pub(crate) enum UpstreamIo {
    /// TCP.
    Tcp(TcpStream),
    /// A Unix socket.
    Unix(UnixStream),
    /// TLS over TCP.
    Tls(Box<TlsStream<TcpStream>>),
}

impl UpstreamIo {
    /// Connects to an address. The caller sets a deadline. Dropping the future closes the socket.
    ///
    /// # Errors
    ///
    /// The address cannot be resolved, or refuses the connection.
    pub(crate) async fn connect(address: &UpstreamAddress) -> io::Result<Self> {
        match address {
            UpstreamAddress::Tcp { host, port } => {
                let stream = TcpStream::connect((host.as_str(), *port)).await?;
                stream.set_nodelay(true)?;
                SockRef::from(&stream).set_keepalive(true)?;
                Ok(Self::Tcp(stream))
            }
            UpstreamAddress::Unix(path) => UnixStream::connect(path).await.map(Self::Unix),
        }
    }

    /// Connects to an address with TLS. A Unix socket needs none.
    ///
    /// # Errors
    ///
    /// As for [`UpstreamIo::connect`], or the certificate is not trusted.
    pub(crate) async fn connect_tls(
        address: &UpstreamAddress,
        tls: &UpstreamTls,
    ) -> io::Result<Self> {
        match (Self::connect(address).await?, address) {
            (Self::Tcp(io), UpstreamAddress::Tcp { host, .. }) => {
                let io = tls.connect(host, io).await?;
                Ok(Self::Tls(Box::new(io)))
            }
            (io, _) => Ok(io),
        }
    }
}

/// Calls a method of the stream that is there.
macro_rules! of_stream {
    ($io:expr, $stream:ident => $call:expr) => {
        match $io.get_mut() {
            UpstreamIo::Tcp(stream) => {
                let $stream = Pin::new(stream);
                $call
            }
            UpstreamIo::Unix(stream) => {
                let $stream = Pin::new(stream);
                $call
            }
            UpstreamIo::Tls(stream) => {
                let $stream = Pin::new(stream);
                $call
            }
        }
    };
}

impl AsyncRead for UpstreamIo {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        of_stream!(self, stream => stream.poll_read(cx, buf))
    }
}

impl AsyncWrite for UpstreamIo {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        of_stream!(self, stream => stream.poll_write(cx, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        of_stream!(self, stream => stream.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        of_stream!(self, stream => stream.poll_shutdown(cx))
    }
}
