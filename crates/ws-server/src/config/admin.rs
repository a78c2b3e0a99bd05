//! The addresses of the admin interface.

use std::{
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
    str::FromStr,
};

use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

use crate::config::values::StringList;

/// The prefix of the path of a Unix socket.
const UNIX: &str = "unix:";

const SYNTAX: &str =
    "write \"unix:PATH\", or a loopback address and a port, such as \"127.0.0.1:9180\"";

const NOT_LOOPBACK: &str = "write a loopback address: the interface has no login";

/// The table `[admin]`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdminTable {
    /// The addresses of the admin interface.
    #[serde(deserialize_with = "one_or_many")]
    pub listen: StringList<AdminAddress>,
}

/// Reads a text or a list of texts. An error refers to the whole value, because an untagged enum loses
/// the positions of its parts.
fn one_or_many<'de, D>(deserializer: D) -> Result<StringList<AdminAddress>, D::Error>
where
    D: Deserializer<'de>,
{
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMany {
        One(String),
        Many(Vec<String>),
    }

    let texts = match OneOrMany::deserialize(deserializer) {
        Ok(OneOrMany::One(text)) => vec![text],
        Ok(OneOrMany::Many(texts)) => texts,
        Err(_) => return Err(D::Error::custom(SYNTAX)),
    };
    StringList::parse(&texts).map_err(D::Error::custom)
}

/// An address that only this machine reaches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AdminAddress {
    /// A Unix socket, for all requests.
    Unix(PathBuf),
    /// A loopback address, for health and metrics only.
    Tcp(SocketAddr),
}

impl FromStr for AdminAddress {
    type Err = &'static str;

    /// Reads `unix:PATH`, or a loopback address with a port.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match (text.strip_prefix(UNIX), text.parse::<SocketAddr>()) {
            (Some(path), _) if !path.is_empty() => Ok(Self::Unix(path.into())),
            (_, Ok(address)) if address.ip().to_canonical().is_loopback() => Ok(Self::Tcp(address)),
            (_, Ok(_)) => Err(NOT_LOOPBACK),
            _ => Err(SYNTAX),
        }
    }
}

impl AdminAddress {
    /// Returns the path of a Unix socket, or `None` for a TCP address.
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
    use super::{AdminAddress, NOT_LOOPBACK, SYNTAX};

    fn parse(text: &str) -> Result<AdminAddress, &'static str> {
        text.parse()
    }

    #[test]
    fn socket_or_loopback_address_is_accepted() {
        let unix = |path: &str| Ok(AdminAddress::Unix(path.into()));
        assert_eq!(parse("unix:/run/admin.sock"), unix("/run/admin.sock"));
        assert_eq!(parse("unix:admin.sock"), unix("admin.sock"));
        for address in ["127.0.0.1:9180", "127.9.9.9:0", "[::1]:9180"] {
            let parsed = AdminAddress::Tcp(address.parse().unwrap());
            assert_eq!(parse(address), Ok(parsed), "{address}");
        }
    }

    #[test]
    fn exposed_address_is_refused() {
        for address in ["0.0.0.0:9180", "192.0.2.1:9180", "[::]:9180"] {
            assert_eq!(parse(address), Err(NOT_LOOPBACK), "{address}");
        }
        for text in ["", "unix:", "localhost:9180", "127.0.0.1", "/run/x.sock"] {
            assert_eq!(parse(text), Err(SYNTAX), "{text}");
        }
    }
}
