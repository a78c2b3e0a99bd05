//! The address of the WebSocket server behind a relay.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::{service::upstream::UpstreamAddress, session::normalize_path};

/// The address of a WebSocket server: `ws://HOST/PATH`, `wss://HOST/PATH` or `ws+unix:SOCKET:/PATH`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelayAddress {
    /// The address of the server.
    pub(crate) upstream: UpstreamAddress,
    /// The connection is encrypted.
    pub(crate) encryption: Encryption,
    /// The value of `Host`.
    pub(crate) host: String,
    /// The path, in normal form. The rest of the client's path is appended to it.
    path: String,
}

/// The encryption of a connection to an upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encryption {
    None,
    Tls,
}

/// A text that is not a [`RelayAddress`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("write \"ws://HOST:PORT/PATH\", \"wss://HOST:PORT/PATH\" or \"ws+unix:SOCKET:/PATH\"")]
pub struct RelayAddressError;

impl RelayAddress {
    /// Returns the path for a client whose path continues that of the route by `rest`.
    pub(crate) fn path(&self, rest: &str) -> String {
        match (rest, self.path.strip_suffix('/')) {
            ("", _) => self.path.clone(),
            (rest, Some(base)) => format!("{base}/{rest}"),
            (rest, None) => format!("{}/{rest}", self.path),
        }
    }
}

impl FromStr for RelayAddress {
    type Err = RelayAddressError;

    fn from_str(text: &str) -> Result<Self, RelayAddressError> {
        let normal = |path: &str| match normalize_path(path) {
            Ok(path) => Ok(path.into_owned()),
            Err(_) => Err(RelayAddressError),
        };
        if let Some(rest) = text.strip_prefix("ws+unix:") {
            let (socket, path) = match rest.find(":/") {
                Some(colon) => (&rest[..colon], &rest[colon + 1..]),
                None => (rest, "/"),
            };
            if socket.is_empty() || socket.ends_with('/') {
                return Err(RelayAddressError);
            }
            return Ok(Self {
                upstream: UpstreamAddress::Unix(socket.into()),
                encryption: Encryption::None,
                host: "localhost".to_owned(),
                path: normal(path)?,
            });
        }
        let (encryption, port, rest) =
            match (text.strip_prefix("ws://"), text.strip_prefix("wss://")) {
                (Some(rest), _) => (Encryption::None, 80, rest),
                (None, Some(rest)) => (Encryption::Tls, 443, rest),
                (None, None) => return Err(RelayAddressError),
            };
        let (host, path) = match rest.find('/') {
            Some(slash) => rest.split_at(slash),
            None => (rest, "/"),
        };
        let upstream =
            UpstreamAddress::parse_tcp(host, Some(port)).map_err(|_| RelayAddressError)?;
        Ok(Self {
            upstream,
            encryption,
            host: host.to_owned(),
            path: normal(path)?,
        })
    }
}

impl fmt::Display for RelayAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.upstream, self.encryption) {
            (UpstreamAddress::Unix(socket), _) => {
                write!(f, "ws+unix:{}:{}", socket.display(), self.path)
            }
            (UpstreamAddress::Tcp { .. }, Encryption::None) => {
                write!(f, "ws://{}{}", self.host, self.path)
            }
            (UpstreamAddress::Tcp { .. }, Encryption::Tls) => {
                write!(f, "wss://{}{}", self.host, self.path)
            }
        }
    }
}

impl<'de> Deserialize<'de> for RelayAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

impl Serialize for RelayAddress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::{RelayAddress, RelayAddressError};

    #[test]
    fn relay_addresses_parsed() {
        for (text, printed, upstream) in [
            (
                "ws://127.0.0.1:9000",
                "ws://127.0.0.1:9000/",
                "127.0.0.1:9000",
            ),
            ("ws://a/b/", "ws://a/b/", "a:80"),
            ("wss://[::1]/b%7e", "wss://[::1]/b~", "[::1]:443"),
            ("ws+unix:/run/a:/b:/c", "ws+unix:/run/a:/b:/c", "/run/a"),
            ("ws+unix:a.sock", "ws+unix:a.sock:/", "a.sock"),
        ] {
            let address: RelayAddress = text.parse().unwrap();
            assert_eq!(address.to_string(), printed);
            assert_eq!(address.upstream.to_string(), upstream);
        }
        for text in [
            "",
            "ws://",
            "ws:///a",
            "http://a",
            "ws://jane@a/",
            "ws://a/?b",
            "ws://a/b#c",
            "ws://a/../b",
            "ws://a//b",
            "ws+unix:",
            "ws+unix:/run/",
            "ws+unix:/run/a:/b?c",
            "ws://a:0/",
            "WS://a",
        ] {
            assert_eq!(
                text.parse::<RelayAddress>(),
                Err(RelayAddressError),
                "{text}"
            );
        }
    }

    #[test]
    fn rest_of_path_appended_to_base() {
        for (base, rest, path) in [
            ("ws://a", "", "/"),
            ("ws://a", "b/c", "/b/c"),
            ("ws://a/base", "", "/base"),
            ("ws://a/base", "b", "/base/b"),
            ("ws://a/base/", "b", "/base/b"),
        ] {
            let address: RelayAddress = base.parse().unwrap();
            assert_eq!(address.path(rest), path, "{base} {rest}");
        }
    }
}
