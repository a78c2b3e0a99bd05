//! The request of the opening handshake (RFC 6455 section 4.1).

use proto::{basic::authorization, key::Key, message::Credentials, secret::Secret};
use zeroize::Zeroizing;

use super::{bearer::BearerToken, header_field::HeaderFields, subprotocol::Subprotocols};
use crate::endpoint::Endpoint;

/// The value of an `Origin` field, as a browser sends it (RFC 6454 section 7).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(String);

impl Origin {
    /// Parses the value of an `Origin` field.
    ///
    /// # Errors
    ///
    /// The text is neither `null` nor `scheme://host`, or it has a path, a user, or a space, control or
    /// non-ASCII character.
    pub fn parse(text: &str) -> Result<Self, OriginError> {
        let is_origin = text.split_once("://").is_some_and(|(scheme, host)| {
            // Some browsers send `file://` for local files.
            let has_host = !host.is_empty() || scheme == "file";
            let is_scheme = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
            has_host
                && scheme.starts_with(|c: char| c.is_ascii_alphabetic())
                && scheme.bytes().all(is_scheme)
                && host
                    .bytes()
                    .all(|byte| byte.is_ascii_graphic() && !b"/?#@\\".contains(&byte))
        });
        if is_origin || text == "null" {
            Ok(Self(text.to_owned()))
        } else {
            Err(OriginError)
        }
    }
}

impl std::str::FromStr for Origin {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

/// A text that is not the value of an `Origin` field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an origin is null or scheme://host, as in http://example.org, without a path")]
pub struct OriginError;

/// A request of the opening handshake.
#[derive(Debug)]
pub struct Request {
    endpoint: Endpoint,
    key: Key,
    origin: Option<Origin>,
    subprotocols: Subprotocols,
    fields: HeaderFields,
    authorization: Option<Secret>,
}

/// The treatment of secret values in a formatted request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Secrets {
    Exposed,
    Masked,
}

impl Secrets {
    fn show(self, secret: &Secret) -> &str {
        match self {
            Self::Exposed => secret.expose(),
            Self::Masked => "***",
        }
    }
}

impl Request {
    /// Creates a request. By default no origin is sent: the field is meant for browsers, and a server
    /// may refuse unknown origins.
    pub fn new(endpoint: Endpoint, key: Key, origin: Option<Origin>) -> Self {
        Self {
            endpoint,
            key,
            origin,
            subprotocols: Subprotocols::default(),
            fields: HeaderFields::default(),
            authorization: None,
        }
    }

    /// Offers subprotocols.
    #[must_use]
    pub fn with_subprotocols(self, subprotocols: Subprotocols) -> Self {
        Self {
            subprotocols,
            ..self
        }
    }

    /// Adds header fields. A `Host` among them replaces that of the URL.
    #[must_use]
    pub fn with_fields(self, fields: HeaderFields) -> Self {
        Self { fields, ..self }
    }

    /// Adds credentials by the Basic scheme (RFC 7617).
    #[must_use]
    pub fn with_credentials(self, credentials: &Credentials) -> Self {
        Self {
            authorization: Some(authorization(credentials)),
            ..self
        }
    }

    /// Adds a token by the Bearer scheme (RFC 6750).
    #[must_use]
    pub fn with_bearer(self, token: &BearerToken) -> Self {
        Self {
            authorization: Some(token.authorization()),
            ..self
        }
    }

    /// Returns the endpoint to which the request is sent.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Returns the `Sec-WebSocket-Key` of the request.
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// Returns the subprotocols that the request offers.
    pub fn subprotocols(&self) -> &Subprotocols {
        &self.subprotocols
    }

    /// Returns true if the request carries credentials.
    pub fn presents_credentials(&self) -> bool {
        self.authorization.is_some() || self.fields.has("Authorization")
    }

    /// Returns the bytes of the request, in memory that is zeroed on drop.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(self.head(Secrets::Exposed).into_bytes())
    }

    /// Returns the request with its secrets masked.
    pub fn masked(&self) -> String {
        self.head(Secrets::Masked)
    }

    /// Formats the head.
    fn head(&self, secrets: Secrets) -> String {
        let host = self.endpoint.host_field();
        let subprotocols = self.subprotocols.to_string();
        let mut fields: Vec<(&str, &str)> = Vec::new();
        if !self.fields.has("Host") {
            fields.push(("Host", &host));
        }
        fields.extend(self.added(secrets).filter(|(name, _)| is_host(name)));
        fields.extend([
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Key", self.key.as_str()),
            ("Sec-WebSocket-Version", "13"),
        ]);
        if !self.subprotocols.is_empty() {
            fields.push(("Sec-WebSocket-Protocol", &subprotocols));
        }
        if let Some(Origin(origin)) = &self.origin {
            fields.push(("Origin", origin));
        }
        fields.extend(self.added(secrets).filter(|(name, _)| !is_host(name)));
        if let Some(authorization) = &self.authorization {
            fields.push(("Authorization", secrets.show(authorization)));
        }
        let target = self.endpoint.target();
        let lines = [["GET ", target, " HTTP/1.1", "\r\n"]]
            .into_iter()
            .chain(
                fields
                    .into_iter()
                    .map(|(name, value)| [name, ": ", value, "\r\n"]),
            )
            .chain([["\r\n", "", "", ""]]);
        // The size is known before anything is written: a reallocation would leave a copy of a secret.
        let mut head = String::with_capacity(lines.clone().flatten().map(str::len).sum());
        head.extend(lines.flatten());
        head
    }

    /// Returns the names and values of the added fields.
    fn added(&self, secrets: Secrets) -> impl Iterator<Item = (&str, &str)> {
        self.fields.iter().map(move |field| {
            let value = if field.is_secret() {
                secrets.show(field.value())
            } else {
                field.value().expose()
            };
            (field.name(), value)
        })
    }
}

fn is_host(name: &str) -> bool {
    name.eq_ignore_ascii_case("Host")
}

#[cfg(test)]
mod tests {
    use proto::{key::Key, message::Credentials};

    use super::{Origin, OriginError, Request};
    use crate::{
        endpoint::Endpoint,
        handshake::{BearerToken, FieldSource, HeaderField, HeaderFields, Subprotocols},
    };

    fn request(origin: Option<Origin>) -> Request {
        let endpoint = Endpoint::parse("ws://127.0.0.1:5678/a?b").unwrap();
        Request::new(endpoint, Key::new(*b"the sample nonce"), origin)
    }

    fn bytes(origin: Option<Origin>) -> String {
        String::from_utf8(request(origin).to_bytes().to_vec()).unwrap()
    }

    #[test]
    fn request_has_version_13_host_and_key() {
        assert_eq!(
            bytes(None),
            "GET /a?b HTTP/1.1\r\n\
             Host: 127.0.0.1:5678\r\n\
             Upgrade: websocket\r\n\
             Connection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             Sec-WebSocket-Version: 13\r\n\r\n"
        );
    }

    #[test]
    fn origin_is_sent_only_if_given() {
        let origin = Origin::parse("http://example.org").unwrap();
        assert!(bytes(Some(origin)).ends_with("13\r\nOrigin: http://example.org\r\n\r\n"));
        assert!(!bytes(None).contains("Origin"));
    }

    #[test]
    fn token_is_one_field_and_never_shown() {
        let token = BearerToken::parse("hunter2\n").unwrap();
        let request = request(None).with_bearer(&token);
        assert!(request.presents_credentials());
        let sent = String::from_utf8(request.to_bytes().to_vec()).unwrap();
        assert!(
            sent.ends_with("\r\nAuthorization: Bearer hunter2\r\n\r\n"),
            "{sent}"
        );
        assert_eq!(request.masked(), sent.replace("Bearer hunter2", "***"));
        assert!(!format!("{request:?}").contains("hunter2"));
    }

    #[test]
    fn credentials_are_one_field_and_never_shown() {
        let credentials = Credentials::parse("Aladdin:open sesame").unwrap();
        let origin = Origin::parse("http://example.org").unwrap();
        let request = request(Some(origin)).with_credentials(&credentials);
        assert!(request.presents_credentials());
        let field = "\r\nAuthorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\n";
        let bytes = request.to_bytes().to_vec();
        let sent = String::from_utf8(bytes).unwrap();
        assert!(sent.ends_with(field), "{sent}");
        assert_eq!(sent.matches("Authorization").count(), 1);
        let masked = request.masked();
        assert_eq!(
            masked,
            sent.replace("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "***")
        );
        let debug = format!("{request:?}");
        assert!(
            !debug.contains("QWxh") && !debug.contains("sesame"),
            "{debug}"
        );
    }

    #[test]
    fn request_without_credentials_has_no_authorization() {
        assert!(!request(None).presents_credentials());
        assert!(!bytes(None).contains("Authorization"));
        assert_eq!(request(None).masked(), bytes(None));
    }

    #[test]
    fn origin_is_null_or_scheme_and_host() {
        for text in [
            "null",
            "http://x",
            "https://x:1",
            "http://[::1]:1",
            "file://",
            "app+x://id",
        ] {
            assert!(Origin::parse(text).is_ok(), "{text}");
        }
        for text in [
            "",
            "a b",
            "http://x\r\nX: y",
            "ü",
            "file",
            "file.txt",
            "example.org",
            "http://",
            "://x",
            "http://x/",
            "http://u@x",
            "NULL",
            "1a://x",
        ] {
            assert_eq!(Origin::parse(text), Err(OriginError), "{text:?}");
        }
    }

    #[test]
    fn subprotocols_are_offered_in_one_field() {
        let names = ["v2", "v1"].map(|name| name.parse().unwrap());
        let offer = Subprotocols::new(names.into()).unwrap();
        let text = request(None).with_subprotocols(offer).masked();
        assert!(
            text.ends_with("13\r\nSec-WebSocket-Protocol: v2, v1\r\n\r\n"),
            "{text}"
        );
        assert!(!bytes(None).contains("Protocol"));
    }

    #[test]
    fn added_fields_are_sent_and_secrets_masked() {
        let lines = [
            ("X-A: b", FieldSource::Argument),
            ("host: other:1", FieldSource::Argument),
            ("Authorization: Bearer t0ken", FieldSource::Argument),
            ("X-Key: t0ken", FieldSource::File),
        ];
        let fields = lines.map(|(line, source)| HeaderField::parse(line, source).unwrap());
        let fields = HeaderFields::new(fields.into()).unwrap();
        let request = request(None).with_fields(fields);
        assert!(request.presents_credentials());
        let sent = String::from_utf8(request.to_bytes().to_vec()).unwrap();
        assert_eq!(
            sent,
            "GET /a?b HTTP/1.1\r\n\
             host: other:1\r\n\
             Upgrade: websocket\r\n\
             Connection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             Sec-WebSocket-Version: 13\r\n\
             X-A: b\r\n\
             Authorization: Bearer t0ken\r\n\
             X-Key: t0ken\r\n\r\n"
        );
        let masked = sent.replace("Bearer t0ken", "***").replace("t0ken", "***");
        assert_eq!(request.masked(), masked);
        assert!(!format!("{request:?}").contains("t0ken"));
    }
}
