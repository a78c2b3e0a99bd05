//! Where connections come from.

use std::{io, net::SocketAddr, time::Duration};

use socket2::SockRef;
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    time::{Instant, sleep},
};
use tracing::warn;

/// How many connections may wait to be accepted.
const BACKLOG: u32 = 4096;

/// How long accepting pauses when the system has no descriptor or memory for one more connection.
/// Trying again at once would take a whole core and help nobody.
const PAUSE: Duration = Duration::from_millis(100);

/// How often such pauses are spoken of, at most.
const WARN_INTERVAL: Duration = Duration::from_secs(1);

/// A listening socket that outlives whatever goes wrong with a single connection.
#[derive(Debug)]
pub(crate) struct Listener {
    socket: TcpListener,
    user_timeout: Duration,
    last_warned: Option<Instant>,
}

impl Listener {
    /// Listens on an address; port 0 takes any free one. Sent data may stay unacknowledged for the
    /// user timeout before the system gives a connection up.
    pub(crate) fn bind(address: SocketAddr, user_timeout: Duration) -> io::Result<Self> {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        // A restarted server must not wait for the old connections to be forgotten.
        socket.set_reuseaddr(true)?;
        // Each connection begins with what the listener has, at no cost of its own: answers leave
        // at once, and a peer that vanished is noticed even where pings are switched off.
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

    /// The address that was bound.
    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Changes how long the sent data of connections that come from now on may stay unacknowledged.
    pub(crate) fn set_user_timeout(&mut self, user_timeout: Duration) {
        if self.user_timeout != user_timeout {
            self.user_timeout = user_timeout;
            #[cfg(target_os = "linux")]
            if let Err(error) = SockRef::from(&self.socket).set_tcp_user_timeout(Some(user_timeout))
            {
                warn!(%error, "connections keep their old time to acknowledge what was sent");
            }
        }
    }

    /// Waits for the next connection, whatever goes wrong meanwhile.
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
            warn!(%error, "no connection can be accepted for the moment");
        }
    }
}

/// Whether an error tells of one connection that went before it was accepted.
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
    async fn connections_have_the_options_of_the_listener() {
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
    fn only_errors_of_one_connection_are_passed_over() {
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
