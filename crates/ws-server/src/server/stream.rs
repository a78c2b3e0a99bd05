//! The streams that the server serves.

use std::io;

#[cfg(target_os = "linux")]
use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::server::TlsStream;

/// The number of unsent bytes above which a socket accepts no more. Without it, a socket whose send
/// buffer the system has enlarged is writable again only after megabytes were acknowledged: a steady
/// reader would seem to make no progress for seconds. On the sockets of an
/// echo it costs 5 to 10 % with messages of 1 MiB, and 128 KiB would cost 15 %.
#[cfg(target_os = "linux")]
const MAX_UNSENT_BYTES: u32 = 256 * 1024;

/// The number of encrypted bytes that a TLS stream holds until the socket takes them: the default of
/// rustls.
const TLS_BUFFER_BYTES: u32 = 64 * 1024;

/// A stream that the server serves.
pub(crate) trait ServedStream: AsyncRead + AsyncWrite + Unpin + Send + 'static {
    /// The greatest number of written bytes that the stream holds until a flush.
    const BUFFER_BYTES: u32 = 0;

    /// Limits the unsent bytes that the socket accepts, so that the progress of a reader shows in small
    /// steps (`TCP_NOTSENT_LOWAT`; Linux only).
    ///
    /// # Errors
    ///
    /// The system refuses the option.
    fn limit_unsent_bytes(&self) -> io::Result<()>;
}

impl ServedStream for TcpStream {
    fn limit_unsent_bytes(&self) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        SockRef::from(self).set_tcp_notsent_lowat(MAX_UNSENT_BYTES)?;
        Ok(())
    }
}

impl<S: ServedStream> ServedStream for TlsStream<S> {
    const BUFFER_BYTES: u32 = TLS_BUFFER_BYTES;

    fn limit_unsent_bytes(&self) -> io::Result<()> {
        self.get_ref().0.limit_unsent_bytes()
    }
}

/// A pipe of a test, which has no such option.
#[cfg(test)]
impl ServedStream for tokio::io::DuplexStream {
    fn limit_unsent_bytes(&self) -> io::Result<()> {
        Ok(())
    }
}
