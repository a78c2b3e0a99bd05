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
const COMPLAINT_INTERVAL: Duration = Duration::from_secs(1);

/// A listening socket that outlives whatever goes wrong with a single connection.
#[derive(Debug)]
pub(crate) struct Listener {
    socket: TcpListener,
    /// How long sent data may stay unacknowledged before the system gives a connection up.
    user_timeout: Duration,
    complained_at: Option<Instant>,
}

impl Listener {
    /// Listens on an address; port 0 takes any free one.
    pub(crate) fn bind(address: SocketAddr, user_timeout: Duration) -> io::Result<Self> {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        // A restarted server must not wait for the old connections to be forgotten.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        let socket = socket.listen(BACKLOG)?;
        Ok(Self {
            socket,
            user_timeout,
            complained_at: None,
        })
    }

    /// The address that was bound.
    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Waits for the next connection, whatever goes wrong meanwhile.
    ///
    /// Cancel safe: no connection is lost.
    pub(crate) async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        loop {
            match self.socket.accept().await {
                Ok((stream, peer)) => {
                    self.tune(&stream);
                    return (stream, peer);
                }
                Err(error) if is_about_one_connection(&error) => {}
                Err(error) => {
                    self.complain(&error);
                    sleep(PAUSE).await;
                }
            }
        }
    }

    /// Sets what is worth having but not worth losing a connection for.
    fn tune(&self, stream: &TcpStream) {
        let _ = stream.set_nodelay(true);
        // A peer that vanished is noticed even where pings are switched off.
        let socket = SockRef::from(stream);
        let _ = socket.set_keepalive(true);
        #[cfg(target_os = "linux")]
        let _ = socket.set_tcp_user_timeout(Some(self.user_timeout));
    }

    fn complain(&mut self, error: &io::Error) {
        let now = Instant::now();
        let is_due = self
            .complained_at
            .is_none_or(|at| now.duration_since(at) >= COMPLAINT_INTERVAL);
        if is_due {
            self.complained_at = Some(now);
            warn!(%error, "no connection can be accepted for the moment");
        }
    }
}

/// Whether an error tells of one connection that went before it was accepted.
fn is_about_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
    )
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::is_about_one_connection;

    #[test]
    fn only_errors_of_one_connection_are_passed_over() {
        let aborted = io::Error::from_raw_os_error(rustix::io::Errno::CONNABORTED.raw_os_error());
        assert!(is_about_one_connection(&aborted));
        for errno in [
            rustix::io::Errno::MFILE,
            rustix::io::Errno::NFILE,
            rustix::io::Errno::NOBUFS,
        ] {
            let error = io::Error::from_raw_os_error(errno.raw_os_error());
            assert!(!is_about_one_connection(&error), "{error}");
        }
    }
}
