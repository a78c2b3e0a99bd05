//! The keys of a route with the relay service.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
    sync::Arc,
    time::Duration,
};

use http::{HeaderMap, HeaderName, HeaderValue};
use proto::config::{As, TimeSpan};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error as _, MapAccess, Visitor},
    ser::SerializeMap as _,
};

use crate::{
    service::{
        relay::{
            RelayAddress,
            address::Encryption,
            fields::{may_name_identity, may_set},
        },
        stream::default_connect_deadline,
    },
    session::UpstreamTls,
};

/// The relay service, with the keys of its routes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Relay {
    /// The address of the upstream.
    pub to: RelayAddress,
    /// The time for the connection to the upstream, with its handshakes.
    #[serde(default = "default_connect_deadline", with = "As::<TimeSpan>")]
    pub connect_deadline: Duration,
    /// The field with the name of the user.
    #[serde(default)]
    pub identity_header: IdentityField,
    /// The text before the name.
    #[serde(default, deserialize_with = "visible_text")]
    pub identity_prefix: String,
    /// `true` adds `Forwarded` (RFC 7239) to the fields about the client.
    #[serde(default)]
    pub forwarded: bool,
    /// The fields of the client that are passed on although they are not by default.
    #[serde(default)]
    pub forward: Vec<ForwardedField>,
    /// The file of the authorities that are trusted, instead of those of the system.
    pub ca: Option<PathBuf>,
    /// The file of the certificate that the upstream may ask for.
    pub certificate: Option<PathBuf>,
    /// The file of the private key of this certificate.
    pub private_key: Option<PathBuf>,
    /// Further fields of the request.
    #[serde(default)]
    pub headers: BTreeMap<FieldKey, FieldValueSource>,
    /// The contents of the files.
    #[serde(skip)]
    pub(crate) files: RelayFiles,
}

/// The contents of the files that the keys of a relay name.
#[derive(Clone, Default)]
pub struct RelayFiles {
    /// The TLS configuration, for a `wss://` upstream.
    pub(crate) tls: Option<UpstreamTls>,
    /// The values of `headers` that are in files.
    pub(crate) secrets: Arc<HeaderMap>,
}

/// The contents are not a part of the configuration: only the names of the files are compared.
impl PartialEq for RelayFiles {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for RelayFiles {}

impl fmt::Debug for RelayFiles {
    /// Shows no secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RelayFiles").finish_non_exhaustive()
    }
}

impl Relay {
    /// Returns the paths of the socket and the files, to be made absolute.
    pub(crate) fn paths_mut(&mut self) -> Vec<&mut PathBuf> {
        let headers = self.headers.values_mut().filter_map(|source| match source {
            FieldValueSource::Text(_) => None,
            FieldValueSource::File(path) => Some(path),
        });
        let files = [&mut self.ca, &mut self.certificate, &mut self.private_key];
        let files = files.into_iter().flatten();
        let socket = self.to.upstream.path_mut();
        socket.into_iter().chain(files).chain(headers).collect()
    }

    /// Returns true if connections to the upstream use TLS.
    pub(crate) fn is_encrypted(&self) -> bool {
        self.to.encryption == Encryption::Tls
    }

    /// Checks the keys against each other.
    ///
    /// # Errors
    ///
    /// The key with the mistake, and what to write.
    pub(crate) fn check(&self) -> Result<(), (&'static str, &'static str)> {
        let is_encrypted = self.is_encrypted();
        let identity = self.identity_header.0.as_str();
        let mut names = self.headers.keys();
        match (&self.certificate, &self.private_key) {
            (Some(_), None) => Err(("certificate", "write private_key as well")),
            (None, Some(_)) => Err(("private_key", "write certificate as well")),
            (Some(_), Some(_)) if !is_encrypted => {
                Err(("certificate", "only a wss:// upstream gets a certificate"))
            }
            _ if self.ca.is_some() && !is_encrypted => {
                Err(("ca", "only a wss:// upstream has a certificate"))
            }
            _ if names.any(|key| key.name().as_str().replace('_', "-") == identity) => Err((
                "headers",
                "one of them is the field with the name of the user",
            )),
            _ => Ok(()),
        }
    }

    /// Returns true if a field in a file has no value: the files were not read.
    pub(super) fn has_unread_files(&self) -> bool {
        let mut headers = self.headers.iter();
        headers.any(|(key, source)| match source {
            FieldValueSource::Text(_) => false,
            FieldValueSource::File(_) => !self.files.secrets.contains_key(key.name()),
        })
    }

    /// Returns the files that the keys name.
    pub(crate) fn named_files(&self) -> Vec<&Path> {
        let headers = self.headers.values().filter_map(|source| match source {
            FieldValueSource::Text(_) => None,
            FieldValueSource::File(path) => Some(path),
        });
        let files = [&self.ca, &self.certificate, &self.private_key];
        let files = files.into_iter().flatten();
        files.chain(headers).map(PathBuf::as_path).collect()
    }
}

/// A field of the client that can be passed on although it is not by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ForwardedField {
    /// `Cookie`.
    Cookie,
}

/// The name of the field with the user's name: letters, digits and `-`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityField(pub(crate) HeaderName);

impl Default for IdentityField {
    fn default() -> Self {
        Self(HeaderName::from_static("x-forwarded-user"))
    }
}

impl FromStr for IdentityField {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_plain = text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        match text.parse::<HeaderName>() {
            Ok(name) if is_plain && may_name_identity(name.as_str()) => Ok(Self(name)),
            Ok(_) if is_plain => {
                Err("this field has another meaning; write one such as \"X-Forwarded-User\"")
            }
            _ => Err("write a name of letters, digits and -, such as \"X-Forwarded-User\""),
        }
    }
}

impl<'de> Deserialize<'de> for IdentityField {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

impl Serialize for IdentityField {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&title_case(self.0.as_str()))
    }
}

/// The name of a further field of the request.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FieldKey(String);

impl FieldKey {
    /// Returns the name.
    pub(crate) fn name(&self) -> HeaderName {
        let name = self.0.parse();
        name.expect("the name was checked when it was read")
    }
}

impl<'de> Deserialize<'de> for FieldKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.parse::<HeaderName>() {
            Ok(name) if may_set(name.as_str()) => Ok(Self(title_case(name.as_str()))),
            Ok(_) => Err(D::Error::custom(format_args!(
                "the relay itself writes the field {text}; leave it out"
            ))),
            Err(_) => Err(D::Error::custom(
                "write the name of a header field before the =",
            )),
        }
    }
}

impl Serialize for FieldKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// The source of a field's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldValueSource {
    /// The value.
    Text(String),
    /// A file with the value, for secrets. One line break at its end is not a part of it.
    File(PathBuf),
}

impl<'de> Deserialize<'de> for FieldValueSource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FieldValueVisitor)
    }
}

struct FieldValueVisitor;

impl<'de> Visitor<'de> for FieldValueVisitor {
    type Value = FieldValueSource;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("write a text in quotes, or { file = \"PATH\" }")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<FieldValueSource, E> {
        match HeaderValue::from_str(text) {
            Ok(_) => Ok(FieldValueSource::Text(text.to_owned())),
            Err(_) => Err(E::custom("a field has visible characters of ASCII only")),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<FieldValueSource, A::Error> {
        let expected = || A::Error::custom("write a text in quotes, or { file = \"PATH\" }");
        let key: String = map.next_key()?.ok_or_else(expected)?;
        if key != "file" {
            return Err(expected());
        }
        let path = map.next_value()?;
        if map.next_key::<String>()?.is_some() {
            return Err(expected());
        }
        Ok(FieldValueSource::File(path))
    }
}

impl Serialize for FieldValueSource {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::File(path) => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry("file", path)?;
                map.end()
            }
        }
    }
}

/// Reads a text that a field value may contain.
fn visible_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) && !text.starts_with(' ') {
        Ok(text)
    } else {
        Err(D::Error::custom(
            "a field has visible characters of ASCII only",
        ))
    }
}

/// Returns a name in the usual spelling, such as `X-Forwarded-User`.
fn title_case(name: &str) -> String {
    let parts = name.split('-').map(|part| {
        let (first, rest) = part.split_at(part.len().min(1));
        first.to_ascii_uppercase() + rest
    });
    parts.collect::<Vec<_>>().join("-")
}
