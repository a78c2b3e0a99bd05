//! Where the operator's interface listens.

use std::{
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
};

/// What stands before the path of a socket.
const UNIX: &str = "unix:";

/// A place that only this machine reaches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AdminAddress {
    /// A Unix socket, where something can be changed as well.
    Unix(PathBuf),
    /// A loopback address, where health and metrics can be read.
    Tcp(SocketAddr),
}

/// A text that is not an [`AdminAddress`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AdminAddressError {
    /// It is neither of the two.
    #[error("write \"unix:PATH\", or a loopback address and a port, such as \"127.0.0.1:9180\"")]
    Syntax,
    /// Others than this machine could reach it.
    #[error("write a loopback address: nobody has to log in here")]
    NotLoopback,
}

impl AdminAddress {
    /// Reads `unix:PATH`, where a relative path starts from this directory, or an address with a
    /// port.
    pub(crate) fn parse(text: &str, directory: &Path) -> Result<Self, AdminAddressError> {
        if let Some(path) = text.strip_prefix(UNIX) {
            return match path {
                "" => Err(AdminAddressError::Syntax),
                path => Ok(Self::Unix(directory.join(path))),
            };
        }
        let address: SocketAddr = text.parse().map_err(|_| AdminAddressError::Syntax)?;
        if address.ip().to_canonical().is_loopback() {
            Ok(Self::Tcp(address))
        } else {
            Err(AdminAddressError::NotLoopback)
        }
    }

    /// The path of the socket, if it is one.
    pub(crate) fn socket(&self) -> Option<&Path> {
        match self {
            Self::Unix(path) => Some(path),
            Self::Tcp(_) => None,
        }
    }
}

impl fmt::Display for AdminAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "{UNIX}{}", path.display()),
            Self::Tcp(address) => address.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{AdminAddress, AdminAddressError};

    fn parse(text: &str) -> Result<AdminAddress, AdminAddressError> {
        AdminAddress::parse(text, Path::new("/etc/ws-server"))
    }

    #[test]
    fn a_socket_or_a_loopback_address_is_one() {
        let unix = |path: &str| Ok(AdminAddress::Unix(path.into()));
        assert_eq!(parse("unix:/run/admin.sock"), unix("/run/admin.sock"));
        assert_eq!(parse("unix:admin.sock"), unix("/etc/ws-server/admin.sock"));
        for address in ["127.0.0.1:9180", "127.9.9.9:0", "[::1]:9180"] {
            let parsed = AdminAddress::Tcp(address.parse().unwrap());
            assert_eq!(parse(address), Ok(parsed), "{address}");
        }
    }

    #[test]
    fn what_others_could_reach_is_refused() {
        for address in ["0.0.0.0:9180", "192.0.2.1:9180", "[::]:9180"] {
            let refused = Err(AdminAddressError::NotLoopback);
            assert_eq!(parse(address), refused, "{address}");
        }
        for text in ["", "unix:", "localhost:9180", "127.0.0.1", "/run/x.sock"] {
            assert_eq!(parse(text), Err(AdminAddressError::Syntax), "{text}");
        }
    }
}
