//! The keys of a route with the stream service.

use std::{fmt, str::FromStr, time::Duration};

use proto::config::{As, TimeSpan, word};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::service::upstream::UpstreamAddress;

/// The stream service, with the keys of its routes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct StreamService {
    /// The address of the upstream.
    pub to: StreamAddress,
    /// The time for the connection to the upstream.
    #[serde(default = "default_connect_deadline", with = "As::<TimeSpan>")]
    pub connect_deadline: Duration,
    /// The handling of text messages.
    #[serde(default, deserialize_with = "word")]
    pub text: TextPolicy,
    /// The message that ends the client's direction only.
    #[serde(default, deserialize_with = "word")]
    pub half_close: HalfClose,
    /// The header with the addresses of the client's connection.
    #[serde(default, deserialize_with = "word")]
    pub proxy_protocol: ProxyProtocol,
}

/// The default of `connect_deadline`: less than that of the handshake, so that a client gets 504.
pub(crate) fn default_connect_deadline() -> Duration {
    Duration::from_secs(5)
}

/// The handling of text messages, which a stream of bytes does not have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TextPolicy {
    /// The bytes of the text are bytes of the stream.
    #[default]
    Accept,
    /// A text ends the session with 1003.
    Refuse,
}

/// The message by which a client ends its direction of the stream only. A Close frame ends both.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum HalfClose {
    /// There is no such message.
    #[default]
    Off,
    /// An empty binary message.
    EmptyMessage,
}

/// The header that the upstream gets before the bytes of the client.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ProxyProtocol {
    /// None.
    #[default]
    Off,
    /// PROXY protocol, version 2.
    V2,
}

/// The address of a stream: `tcp://host:port` or `unix:PATH`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamAddress(pub UpstreamAddress);

/// A text that is not a [`StreamAddress`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("write \"tcp://HOST:PORT\" or \"unix:PATH\"")]
pub struct StreamAddressError;

impl FromStr for StreamAddress {
    type Err = StreamAddressError;

    fn from_str(text: &str) -> Result<Self, StreamAddressError> {
        match (text.strip_prefix("tcp://"), text.strip_prefix("unix:")) {
            (Some(address), _) => UpstreamAddress::parse_tcp(address, None)
                .map(Self)
                .map_err(|_| StreamAddressError),
            (None, Some(path)) if !path.is_empty() && !path.ends_with('/') => {
                Ok(Self(UpstreamAddress::Unix(path.into())))
            }
            (None, _) => Err(StreamAddressError),
        }
    }
}

impl fmt::Display for StreamAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            address @ UpstreamAddress::Tcp { .. } => write!(f, "tcp://{address}"),
            address @ UpstreamAddress::Unix(_) => write!(f, "unix:{address}"),
        }
    }
}

impl<'de> Deserialize<'de> for StreamAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

impl Serialize for StreamAddress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::{StreamAddress, StreamAddressError};

    #[test]
    fn stream_addresses_parsed() {
        for text in [
            "tcp://127.0.0.1:22",
            "tcp://[::1]:5900",
            "unix:/run/a",
            "unix:a.sock",
        ] {
            assert_eq!(text.parse::<StreamAddress>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "tcp:1",
            "tcp://localhost",
            "unix:",
            "unix:/run/",
            "/run/a",
            "ws://a:1",
        ] {
            assert_eq!(
                text.parse::<StreamAddress>(),
                Err(StreamAddressError),
                "{text}"
            );
        }
    }
}
