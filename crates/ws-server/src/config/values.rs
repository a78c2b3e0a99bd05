//! The values of keys, besides those of both programs (`proto::config`).

use std::{
    fmt::{self, Display},
    net::SocketAddr,
    num::NonZeroUsize,
    str::FromStr,
};

use ipnet::IpNet;
use proto::config::Count;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use tracing_subscriber::filter::LevelFilter;

use crate::{
    peer::{NetworkError, TrustedProxies},
    route::is_token,
};

/// The greatest length of the echo's prefix. Every queued answer holds a copy.
const MAX_PREFIX_BYTES: usize = 64 * 1024;

/// A value that is written as a string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StringValue<T>(pub T);

impl<'de, T: FromStr<Err: Display>> Deserialize<'de> for StringValue<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // The error of the type says what to write, also for a value that is no string.
        let text = String::deserialize(deserializer).unwrap_or_default();
        text.parse().map(Self).map_err(D::Error::custom)
    }
}

impl<T: Display> Serialize for StringValue<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// A list of values that are written as strings. An error in one of them refers to the whole list, so
/// that it names the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StringList<T>(pub Vec<T>);

impl<T> Default for StringList<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: FromStr> StringList<T> {
    pub(super) fn parse(texts: &[String]) -> Result<Self, T::Err> {
        let values = texts.iter().map(|text| text.parse());
        values.collect::<Result<_, _>>().map(Self)
    }
}

impl<'de, T: FromStr<Err: Display>> Deserialize<'de> for StringList<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&Vec::<String>::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

impl<T: Display> Serialize for StringList<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(ToString::to_string))
    }
}

/// Reads an address to listen on.
pub(super) fn listen_address<'de, D>(deserializer: D) -> Result<SocketAddr, D::Error>
where
    D: Deserializer<'de>,
{
    let text = String::deserialize(deserializer).unwrap_or_default();
    text.parse().map_err(|_| {
        D::Error::custom(
            "write an address and a port, such as \"127.0.0.1:5678\" or \"[::1]:5678\"",
        )
    })
}

/// Reads a number from 1 to `MAX`.
pub(super) fn up_to<'de, const MAX: usize, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: From<NonZeroUsize>,
{
    let Count(count) = Count::deserialize(deserializer)?;
    if count.get() > MAX {
        return Err(D::Error::custom(format_args!("write at most {MAX}")));
    }
    Ok(count.into())
}

/// Reads the prefix of an echo's answers.
pub(super) fn prefix<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: From<String>,
{
    let prefix = String::deserialize(deserializer)?;
    if prefix.len() > MAX_PREFIX_BYTES {
        let problem = format_args!("write at most {MAX_PREFIX_BYTES} bytes");
        return Err(D::Error::custom(problem));
    }
    Ok(prefix.into())
}

/// Reads names of subprotocols: tokens of RFC 9110 section 5.6.2.
pub(super) fn subprotocols<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: From<Vec<String>>,
{
    let names = Vec::<String>::deserialize(deserializer)?;
    if names.iter().all(|name| is_token(name)) {
        Ok(names.into())
    } else {
        let problem = "a subprotocol is a token of letters, digits and !#$%&'*+-.^_`|~";
        Err(D::Error::custom(problem))
    }
}

/// A network of trusted proxies, or a single address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network(pub IpNet);

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        TrustedProxies::parse_network(text).map(Self)
    }
}

impl Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.prefix_len() == self.0.max_prefix_len() {
            self.0.addr().fmt(f)
        } else {
            self.0.fmt(f)
        }
    }
}

/// Reads the least severe level that is logged.
pub(super) fn log_level<'de, D>(deserializer: D) -> Result<LevelFilter, D::Error>
where
    D: Deserializer<'de>,
{
    const NAMES: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    let name = String::deserialize(deserializer).unwrap_or_default();
    let level = name.parse().ok().filter(|_| NAMES.contains(&name.as_str()));
    level.ok_or_else(|| D::Error::unknown_variant(&name, &NAMES))
}

/// Writes a value as a string.
pub(super) fn display<T: Display, S: Serializer>(
    value: &T,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}
