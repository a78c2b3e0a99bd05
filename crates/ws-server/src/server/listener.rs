//! The TCP listener.

use std::{io, net::SocketAddr, time::Duration};

use socket2::SockRef;
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    time::{Instant, sleep},
};
use tracing::warn;

/// The backlog: the maximum of connections that wait to be accepted.
const BACKLOG: u32 = 4096;

/// The pause after a failed accept, when the system is out of descriptors or memory. An immediate
/// retry would be a busy loop.
const PAUSE: Duration = Duration::from_millis(100);

/// The minimum interval between warnings about failed accepts.
const WARN_INTERVAL: Duration = Duration::from_secs(1);

/// A listening socket. Errors of single connections do not end it.
#[derive(Debug)]
pub(crate) struct Listener {
    socket: TcpListener,
    user_timeout: Duration,
    last_warned: Option<Instant>,
}

impl Listener {
    /// Binds an address; port 0 selects a free port. `user_timeout` is the time that sent data of a
    /// connection may stay unacknowledged (RFC 5482; Linux only).
    ///
    /// # Errors
    ///
    /// The system refuses the address or an option.
    pub(crate) fn bind(address: SocketAddr, user_timeout: Duration) -> io::Result<Self> {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        // Otherwise a restart fails while connections of the old process are in TIME-WAIT.
        socket.set_reuseaddr(true)?;
        // Accepted connections inherit the options without further system calls: no Nagle delay, and
        // detection of a lost peer even with pings off.
        socket.set_nodelay(true)?;
        socket.set_keepalive(true)?;
        #[cfg(target_os = "linux")]
        SockRef::from(&socket).set_tcp_user_timeout(Some(user_timeout))?;
        socket.bind(address)?;
        let socket = socket.listen(BACKLOG)?;
        Ok(Self {
            socket,
            user_timeout,
            last_warned: None,
        })
    }

    /// Returns the bound address.
    ///
    /// # Errors
    ///
    /// The system does not report the address.
    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Changes the user timeout of connections that are accepted later.
    pub(crate) fn set_user_timeout(&mut self, user_timeout: Duration) {
        if self.user_timeout != user_timeout {
            self.user_timeout = user_timeout;
            #[cfg(target_os = "linux")]
            if let Err(error) = SockRef::from(&self.socket).set_tcp_user_timeout(Some(user_timeout))
            {
                warn!(%error, "cannot change the TCP user timeout; new connections keep the old one");
            }
        }
    }

    /// Waits for the next connection. A failed accept is logged and retried after [`PAUSE`].
    ///
    /// Cancel safe: no connection is lost.
    pub(crate) async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        loop {
            match self.socket.accept().await {
                Ok(connection) => return connection,
                Err(error) if is_per_connection_error(&error) => {}
                Err(error) => {
                    self.warn_rate_limited(&error);
                    sleep(PAUSE).await;
                }
            }
        }
    }

    fn warn_rate_limited(&mut self, error: &io::Error) {
        let now = Instant::now();
        let is_due = self
            .last_warned
            .is_none_or(|at| now.duration_since(at) >= WARN_INTERVAL);
        if is_due {
            self.last_warned = Some(now);
            warn!(%error, "accept failed; retrying in 100 ms");
        }
    }
}

/// Returns true for an error of a single connection that ended before it was accepted.
fn is_per_connection_error(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
    )
}

#[cfg(test)]
mod tests {
    use std::{io, time::Duration};

    use socket2::SockRef;
    use tokio::net::TcpStream;

    use super::{Listener, is_per_connection_error};

    #[tokio::test]
    async fn accepted_connections_inherit_socket_options() {
        let timeout = Duration::from_secs(65);
        let mut listener = Listener::bind(([127, 0, 0, 1], 0).into(), timeout).unwrap();
        let connect = TcpStream::connect(listener.local_addr().unwrap());
        let (connected, (stream, _)) = tokio::join!(connect, listener.accept());
        connected.unwrap();
        assert!(stream.nodelay().unwrap());
        let socket = SockRef::from(&stream);
        assert!(socket.keepalive().unwrap());
        #[cfg(target_os = "linux")]
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(timeout));

        let changed = Duration::from_secs(5);
        listener.set_user_timeout(changed);
        let connect = TcpStream::connect(listener.local_addr().unwrap());
        let (connected, (stream, _)) = tokio::join!(connect, listener.accept());
        connected.unwrap();
        #[cfg(target_os = "linux")]
        assert_eq!(
            SockRef::from(&stream).tcp_user_timeout().unwrap(),
            Some(changed)
        );
    }

    #[test]
    fn only_per_connection_errors_ignored() {
        let aborted = io::Error::from_raw_os_error(rustix::io::Errno::CONNABORTED.raw_os_error());
        assert!(is_per_connection_error(&aborted));
        for errno in [
            rustix::io::Errno::MFILE,
            rustix::io::Errno::NFILE,
            rustix::io::Errno::NOBUFS,
        ] {
            let error = io::Error::from_raw_os_error(errno.raw_os_error());
            assert!(!is_per_connection_error(&error), "{error}");
        }
    }
}
