//! The address of an upstream.

use std::{fmt, path::PathBuf};

/// The address of an upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UpstreamAddress {
    /// A TCP port.
    Tcp {
        /// A name or an address; an IPv6 address has no brackets here.
        host: String,
        /// The port.
        port: u16,
    },
    /// A Unix socket.
    Unix(PathBuf),
}

/// A text that is not a host and a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is not a host and a port")]
pub struct AddressError;

impl UpstreamAddress {
    /// Parses `host:port` or `[address]:port`. Without a port, `default` applies.
    ///
    /// # Errors
    ///
    /// An empty host, user information, a port that is not a number, or none without a default.
    pub fn parse_tcp(text: &str, default: Option<u16>) -> Result<Self, AddressError> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (address, rest) = rest.split_once(']').ok_or(AddressError)?;
                let address: std::net::Ipv6Addr = address.parse().map_err(|_| AddressError)?;
                let port = match rest.strip_prefix(':') {
                    None if rest.is_empty() => None,
                    None => return Err(AddressError),
                    port => port,
                };
                (address.to_string(), port)
            }
            None => match text.split_once(':') {
                Some((host, port)) => (host.to_owned(), Some(port)),
                None => (text.to_owned(), None),
            },
        };
        let is_of_host = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:".contains(&byte);
        let port = match port {
            None => default,
            // `parse` would accept a sign.
            Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => port.parse().ok(),
            Some(_) => None,
        };
        match port {
            Some(port @ 1..) if !host.is_empty() && host.bytes().all(is_of_host) => {
                Ok(Self::Tcp { host, port })
            }
            _ => Err(AddressError),
        }
    }

    /// Returns the path of a Unix socket.
    pub(crate) fn path_mut(&mut self) -> Option<&mut PathBuf> {
        match self {
            Self::Tcp { .. } => None,
            Self::Unix(path) => Some(path),
        }
    }
}

impl fmt::Display for UpstreamAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{AddressError, UpstreamAddress};

    #[test]
    fn host_and_port_parsed() {
        for (text, default, parsed) in [
            ("localhost:5900", None, "localhost:5900"),
            ("127.0.0.1:1", None, "127.0.0.1:1"),
            ("[::1]:22", None, "[::1]:22"),
            ("[0:0::1]", Some(80), "[::1]:80"),
            ("db.example.org", Some(443), "db.example.org:443"),
        ] {
            let address = UpstreamAddress::parse_tcp(text, default).unwrap();
            assert_eq!(address.to_string(), parsed);
        }
        for text in [
            "",
            ":1",
            "localhost",
            "localhost:",
            "localhost:0",
            "localhost:65536",
            "localhost:+1",
            "::1:22",
            "[::1]",
            "[::1]22",
            "[x]:1",
            "jane@localhost:1",
            "local host:1",
            "a:1/b",
        ] {
            let parsed = UpstreamAddress::parse_tcp(text, None);
            assert_eq!(parsed, Err(AddressError), "{text}");
        }
    }
}
