//! The listeners of the admin interface: Unix and TCP sockets.

use std::{
    fmt, fs, io,
    os::unix::fs::{FileTypeExt as _, MetadataExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::{fs::Mode, process::umask};
use socket2::{Domain, SockAddr, Socket, Type};
use tokio::{
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    time::sleep,
};
use tokio_util::either::Either;
use tracing::warn;

use crate::config::AdminAddress;

/// The pause after a failed accept, which fails for instance without free descriptors.
const PAUSE: Duration = Duration::from_millis(500);

/// A listening socket of the admin interface.
#[derive(Debug)]
pub(crate) enum AdminListener {
    Unix(UnixListener, SocketFile),
    Tcp(TcpListener),
}

/// The peer of an admin connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AdminPeer {
    /// A process that may open the Unix socket, with the user id that the kernel reports.
    Unix(Option<u32>),
    /// A TCP client, which may be any process on this machine.
    Tcp,
}

impl fmt::Display for AdminPeer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(Some(uid)) => write!(f, "uid:{uid}"),
            Self::Unix(None) | Self::Tcp => f.write_str("unknown"),
        }
    }
}

impl AdminListener {
    /// Binds an address. A Unix socket file without a listening process is replaced.
    ///
    /// # Errors
    ///
    /// The path exists and is not a socket, another process listens, or the system refuses the bind.
    pub(crate) fn bind(address: &AdminAddress) -> io::Result<Self> {
        match address {
            AdminAddress::Unix(path) => {
                remove_stale_socket(path)?;
                // The umask applies at creation. With a later chmod, another user could connect first.
                let before = umask(Mode::RWXG | Mode::RWXO | Mode::XUSR);
                let bound = UnixListener::bind(path);
                umask(before);
                Ok(Self::Unix(bound?, SocketFile::of(path)?))
            }
            AdminAddress::Tcp(address) => {
                let socket = std::net::TcpListener::bind(address)?;
                socket.set_nonblocking(true)?;
                Ok(Self::Tcp(TcpListener::from_std(socket)?))
            }
        }
    }

    /// Returns the bound address.
    ///
    /// # Errors
    ///
    /// The system does not report the address.
    pub(crate) fn address(&self) -> io::Result<AdminAddress> {
        Ok(match self {
            Self::Unix(_, file) => AdminAddress::Unix(file.path.clone()),
            Self::Tcp(socket) => AdminAddress::Tcp(socket.local_addr()?),
        })
    }

    /// Waits for the next connection. A failed accept is logged and retried after [`PAUSE`].
    ///
    /// Cancel safe.
    pub(crate) async fn accept(&self) -> (Either<UnixStream, TcpStream>, AdminPeer) {
        loop {
            let accepted = match self {
                Self::Unix(socket, _) => socket.accept().await.map(|(stream, _)| {
                    let uid = stream.peer_cred().ok().map(|peer| peer.uid());
                    (Either::Left(stream), AdminPeer::Unix(uid))
                }),
                Self::Tcp(socket) => {
                    let accepted = socket.accept().await;
                    accepted.map(|(stream, _)| (Either::Right(stream), AdminPeer::Tcp))
                }
            };
            match accepted {
                Ok(accepted) => return accepted,
                Err(error) => {
                    warn!(%error, "admin interface: accept failed; retrying in 500 ms");
                    sleep(PAUSE).await;
                }
            }
        }
    }
}

/// Removes a Unix socket file that no process listens on.
fn remove_stale_socket(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(file) if !file.file_type().is_socket() => Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "the path exists and is not a socket",
        )),
        Ok(_) => match connect(path) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            // `WouldBlock`: the backlog of the listening process is full.
            Ok(()) | Err(_) => Err(io::Error::new(
                io::ErrorKind::AddrInUse,
                "another server already listens on this socket",
            )),
        },
    }
}

/// Connects to a socket without blocking on a server that does not accept.
fn connect(path: &Path) -> io::Result<()> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.connect(&SockAddr::unix(path)?)
}

/// The file of a bound socket. Drop removes the file, unless another server has replaced it.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    inode: (u64, u64),
}

impl SocketFile {
    fn of(path: &Path) -> io::Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            inode: inode(path)?,
        })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if inode(&self.path).is_ok_and(|now| now == self.inode) {
            // If it stays, the next server replaces it.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Returns the device and inode numbers, which identify a file.
fn inode(path: &Path) -> io::Result<(u64, u64)> {
    let file = fs::symlink_metadata(path)?;
    Ok((file.dev(), file.ino()))
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use socket2::{Domain, SockAddr, Socket, Type};
    use tempfile::tempdir;

    use super::AdminListener;
    use crate::config::AdminAddress;

    #[tokio::test]
    async fn socket_private_and_removed_on_drop() {
        let directory = tempdir().unwrap();
        let path = directory.path().join("admin.sock");
        let address = AdminAddress::Unix(path.clone());
        let listener = AdminListener::bind(&address).unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o600);
        assert_eq!(listener.address().unwrap(), address);
        drop(listener);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn stale_socket_replaced_other_file_kept() {
        let directory = tempdir().unwrap();
        let path = directory.path().join("admin.sock");
        let address = AdminAddress::Unix(path.clone());
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        let first = AdminListener::bind(&address).unwrap();
        let error = AdminListener::bind(&address).unwrap_err();
        assert_eq!(
            error.to_string(),
            "another server already listens on this socket"
        );
        drop(first);
        fs::write(&path, "a file").unwrap();
        let error = AdminListener::bind(&address).unwrap_err();
        assert_eq!(error.to_string(), "the path exists and is not a socket");
        assert_eq!(fs::read_to_string(&path).unwrap(), "a file");
    }

    #[tokio::test]
    async fn bind_does_not_block_on_full_backlog() {
        let directory = tempdir().unwrap();
        let path = directory.path().join("admin.sock");
        let stuck = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        stuck.bind(&SockAddr::unix(&path).unwrap()).unwrap();
        stuck.listen(0).unwrap();
        let mut waiting = Vec::new();
        while waiting.len() < 10 {
            let socket = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
            socket.set_nonblocking(true).unwrap();
            if socket.connect(&SockAddr::unix(&path).unwrap()).is_err() {
                break;
            }
            waiting.push(socket);
        }
        let error = AdminListener::bind(&AdminAddress::Unix(path.clone())).unwrap_err();
        assert_eq!(
            error.to_string(),
            "another server already listens on this socket"
        );
        assert!(path.exists());
    }

    #[tokio::test]
    async fn drop_keeps_socket_of_next_server() {
        let directory = tempdir().unwrap();
        let path = directory.path().join("admin.sock");
        let address = AdminAddress::Unix(path.clone());
        let last = AdminListener::bind(&address).unwrap();
        fs::remove_file(&path).unwrap();
        let _next = AdminListener::bind(&address).unwrap();
        drop(last);
        assert!(path.exists());
    }
}
