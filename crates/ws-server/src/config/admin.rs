//! Where the operator's interface listens.

use std::{
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
    str::FromStr,
};

use serde::{Deserialize, Serialize, Serializer};

/// What stands before the path of a socket.
const UNIX: &str = "unix:";

/// `[admin]`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct AdminTable {
    /// The addresses of the operator's interface.
    pub(super) listen: AdminAddresses,
}

impl AdminTable {
    /// Has relative paths of sockets start from a directory.
    pub(super) fn complete(&mut self, directory: &Path) {
        for address in &mut self.listen.0 {
            if let AdminAddress::Unix(path) = address {
                *path = directory.join(&path);
            }
        }
    }
}

/// Some addresses of the operator's interface.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(try_from = "OneOrMany")]
pub(super) struct AdminAddresses(pub(super) Vec<AdminAddress>);

/// A text or a list of texts. An error in it is one of the whole value, so the places that an
/// untagged enum loses are not missed.
#[derive(Deserialize)]
#[serde(untagged, expecting = "a text or a list of texts")]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl TryFrom<OneOrMany> for AdminAddresses {
    type Error = AdminAddressError;

    fn try_from(texts: OneOrMany) -> Result<Self, AdminAddressError> {
        let texts = match texts {
            OneOrMany::One(text) => vec![text],
            OneOrMany::Many(texts) => texts,
        };
        let addresses = texts.iter().map(|text| text.parse());
        addresses.collect::<Result<_, _>>().map(Self)
    }
}

impl Serialize for AdminAddresses {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(ToString::to_string))
    }
}

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

impl FromStr for AdminAddress {
    type Err = AdminAddressError;

    /// Reads `unix:PATH`, or an address with a port.
    fn from_str(text: &str) -> Result<Self, AdminAddressError> {
        if let Some(path) = text.strip_prefix(UNIX) {
            return match path {
                "" => Err(AdminAddressError::Syntax),
                path => Ok(Self::Unix(path.into())),
            };
        }
        let address: SocketAddr = text.parse().map_err(|_| AdminAddressError::Syntax)?;
        if address.ip().to_canonical().is_loopback() {
            Ok(Self::Tcp(address))
        } else {
            Err(AdminAddressError::NotLoopback)
        }
    }
}

impl AdminAddress {
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
    use super::{AdminAddress, AdminAddressError};

    fn parse(text: &str) -> Result<AdminAddress, AdminAddressError> {
        text.parse()
    }

    #[test]
    fn a_socket_or_a_loopback_address_is_one() {
        let unix = |path: &str| Ok(AdminAddress::Unix(path.into()));
        assert_eq!(parse("unix:/run/admin.sock"), unix("/run/admin.sock"));
        assert_eq!(parse("unix:admin.sock"), unix("admin.sock"));
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
