//! Where the operator comes from.

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

/// How long accepting pauses after it failed, as it does without descriptors.
const PAUSE: Duration = Duration::from_millis(500);

/// A listening socket.
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
            Self::Unix(None) | Self::Tcp => f.write_str("somebody"),
        }
    }
}

impl AdminListener {
    /// Listens. A socket that a server left behind which is gone is replaced.
    pub(crate) fn bind(address: &AdminAddress) -> io::Result<Self> {
        match address {
            AdminAddress::Unix(path) => {
                make_room(path)?;
                // Nobody else can open it, not even before its mode could be changed.
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

    /// Where it listens.
    pub(crate) fn address(&self) -> io::Result<AdminAddress> {
        Ok(match self {
            Self::Unix(_, file) => AdminAddress::Unix(file.path.clone()),
            Self::Tcp(socket) => AdminAddress::Tcp(socket.local_addr()?),
        })
    }

    /// Waits for the next connection, whatever goes wrong meanwhile.
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
                    warn!(%error, "the operator's interface takes nobody in for a moment");
                    sleep(PAUSE).await;
                }
            }
        }
    }
}

/// Removes a socket that nobody listens on.
fn make_room(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(file) if !file.file_type().is_socket() => Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "there is a file, and it is not a socket",
        )),
        Ok(_) => match connect(path) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            // Or so many wait for it already that there is no room for one more.
            Ok(()) | Err(_) => Err(io::Error::new(
                io::ErrorKind::AddrInUse,
                "another server listens there",
            )),
        },
    }
}

/// Connects to a socket, without waiting for a server that takes nobody in.
fn connect(path: &Path) -> io::Result<()> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.connect(&SockAddr::unix(path)?)
}

/// The file of a socket, which is removed when it is dropped, unless it is another's by then.
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
            // The next server replaces what could not be removed.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// What tells a file from another one that takes its place.
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
    async fn a_socket_is_its_owners_and_is_gone_with_the_server() {
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
    async fn a_socket_that_was_left_behind_is_replaced_and_no_other_file_is() {
        let directory = tempdir().unwrap();
        let path = directory.path().join("admin.sock");
        let address = AdminAddress::Unix(path.clone());
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        let first = AdminListener::bind(&address).unwrap();
        let error = AdminListener::bind(&address).unwrap_err();
        assert_eq!(error.to_string(), "another server listens there");
        drop(first);
        fs::write(&path, "a file").unwrap();
        let error = AdminListener::bind(&address).unwrap_err();
        assert_eq!(error.to_string(), "there is a file, and it is not a socket");
        assert_eq!(fs::read_to_string(&path).unwrap(), "a file");
    }

    #[tokio::test]
    async fn a_server_that_takes_nobody_in_is_not_waited_for() {
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
        assert_eq!(error.to_string(), "another server listens there");
        assert!(path.exists());
    }

    #[tokio::test]
    async fn a_socket_of_the_next_server_is_not_removed_by_the_last_one() {
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
