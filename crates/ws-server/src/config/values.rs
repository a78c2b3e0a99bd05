//! The values of keys, beyond those that both programs have (`proto::config`).

use std::{
    fmt::{self, Display},
    net::SocketAddr,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    str::FromStr,
};

use ipnet::IpNet;
use proto::{
    config::{Count, Size},
    message::MAX_CREDENTIALS_BYTES,
};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{DeserializeOwned, Error as _, IntoDeserializer as _},
};
use tracing_subscriber::filter::LevelFilter;

use crate::peer::{NetworkError, TrustedProxies};

/// The greatest length of the echo's prefix: every answer in flight carries it.
const MAX_PREFIX_BYTES: usize = 64 * 1024;

/// The longest message that can be configured: a connection may hold several of that length.
const MAX_MESSAGE_BYTES: usize = 1 << 30;

/// A value that is written as a string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StringValue<T>(pub(super) T);

impl<'de, T: FromStr<Err: Display>> Deserialize<'de> for StringValue<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(D::Error::custom)
    }
}

impl<T: Display> Serialize for StringValue<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// A list of values that are written as strings. An error in one of them is one of the whole list,
/// so that it names the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StringList<T>(pub(super) Vec<T>);

impl<T> Default for StringList<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: FromStr<Err: Display>> Deserialize<'de> for StringList<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let texts = Vec::<String>::deserialize(deserializer)?;
        let values = texts.iter().map(|text| text.parse());
        let values = values.collect::<Result<_, _>>();
        values.map(Self).map_err(D::Error::custom)
    }
}

impl<T: Display> Serialize for StringList<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(ToString::to_string))
    }
}

/// Reads a value of an enum, which is written as a string. Without this, TOML takes a table with the
/// string as its key as well.
pub(super) fn word<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    T::deserialize(String::deserialize(deserializer)?.into_deserializer())
}

/// Reads an address to listen on.
pub(super) fn listen_address<'de, D>(deserializer: D) -> Result<SocketAddr, D::Error>
where
    D: Deserializer<'de>,
{
    String::deserialize(deserializer)?.parse().map_err(|_| {
        D::Error::custom(
            "write an address and a port, such as \"127.0.0.1:5678\" or \"[::1]:5678\"",
        )
    })
}

/// The path of a file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct FilePath(pub(super) PathBuf);

impl FilePath {
    /// Has a relative path start from a directory.
    pub(super) fn start_from(&mut self, directory: &Path) {
        self.0 = directory.join(&self.0);
    }
}

impl Serialize for FilePath {
    /// Writes the path. Bytes that are no text are replaced, because TOML has none.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0.display())
    }
}

/// A number of things from 1 to `MAX`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "Count")]
pub(super) struct UpTo<const MAX: usize>(pub(super) NonZeroUsize);

impl<const MAX: usize> TryFrom<Count> for UpTo<MAX> {
    type Error = String;

    fn try_from(Count(count): Count) -> Result<Self, String> {
        if count.get() > MAX {
            Err(format!("write at most {MAX}"))
        } else {
            Ok(Self(count))
        }
    }
}

/// A number of threads of a kind. More of them only get in each other's way.
pub(super) type Threads = UpTo<1024>;

/// The greatest length of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "Size")]
pub(super) struct MessageSize(pub(super) Size);

impl TryFrom<Size> for MessageSize {
    type Error = &'static str;

    fn try_from(size: Size) -> Result<Self, Self::Error> {
        match size.0.get() {
            ..MAX_CREDENTIALS_BYTES => Err("write at least \"1KiB\", which a login may need"),
            MAX_CREDENTIALS_BYTES..=MAX_MESSAGE_BYTES => Ok(Self(size)),
            _ => Err("write at most \"1GiB\": a connection may hold several messages"),
        }
    }
}

/// The text that an echo puts before its answers.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String")]
pub(super) struct Prefix(pub(super) String);

impl TryFrom<String> for Prefix {
    type Error = String;

    fn try_from(prefix: String) -> Result<Self, String> {
        if prefix.len() > MAX_PREFIX_BYTES {
            Err(format!("write at most {MAX_PREFIX_BYTES} bytes"))
        } else {
            Ok(Self(prefix))
        }
    }
}

/// Names of subprotocols: tokens of RFC 9110 section 5.6.2.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "Vec<String>")]
pub(super) struct Subprotocols(pub(super) Vec<String>);

impl TryFrom<Vec<String>> for Subprotocols {
    type Error = &'static str;

    fn try_from(names: Vec<String>) -> Result<Self, Self::Error> {
        let is_of_token =
            |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if names
            .iter()
            .all(|name| !name.is_empty() && name.bytes().all(is_of_token))
        {
            Ok(Self(names))
        } else {
            Err("a subprotocol is a token of letters, digits and !#$%&'*+-.^_`|~")
        }
    }
}

/// A network of trusted proxies, or the address of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Network(pub(super) IpNet);

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

/// The least severe level that is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum LogLevel {
    Off,
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl From<LogLevel> for LevelFilter {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Off => Self::OFF,
            LogLevel::Error => Self::ERROR,
            LogLevel::Warn => Self::WARN,
            LogLevel::Info => Self::INFO,
            LogLevel::Debug => Self::DEBUG,
            LogLevel::Trace => Self::TRACE,
        }
    }
}
