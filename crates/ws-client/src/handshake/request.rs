//! The upgrade request.

use proto::key::Key;

use crate::endpoint::Endpoint;

/// Where the request comes from, in the words of a browser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(String);

impl Origin {
    /// Takes the value of an `Origin` field.
    pub fn parse(text: &str) -> Result<Self, OriginError> {
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()) {
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

/// A text that cannot stand in an `Origin` field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an origin is written as http://example.org, without spaces")]
pub struct OriginError;

/// What is asked of a server.
#[derive(Debug, Clone)]
pub struct Request {
    endpoint: Endpoint,
    key: Key,
    origin: Option<Origin>,
}

impl Request {
    /// A request for this endpoint. An origin is sent only where one is given: it is for browsers,
    /// and a server may refuse those it does not know.
    pub fn new(endpoint: Endpoint, key: Key, origin: Option<Origin>) -> Self {
        Self {
            endpoint,
            key,
            origin,
        }
    }

    /// Where it goes.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The key that the answer has to fit.
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// The bytes of the request.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut text = format!(
            "GET {} HTTP/1.1\r\n\
             Host: {}\r\n\
             Upgrade: websocket\r\n\
             Connection: Upgrade\r\n\
             Sec-WebSocket-Key: {}\r\n\
             Sec-WebSocket-Version: 13\r\n",
            self.endpoint.target(),
            self.endpoint.host_field(),
            self.key.as_str(),
        );
        if let Some(Origin(origin)) = &self.origin {
            text.push_str("Origin: ");
            text.push_str(origin);
            text.push_str("\r\n");
        }
        text.push_str("\r\n");
        text.into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use proto::key::Key;

    use super::{Origin, OriginError, Request};
    use crate::endpoint::Endpoint;

    fn bytes(origin: Option<Origin>) -> String {
        let endpoint = Endpoint::parse("ws://127.0.0.1:5678/a?b").unwrap();
        let key = Key::new(*b"the sample nonce");
        String::from_utf8(Request::new(endpoint, key, origin).to_bytes()).unwrap()
    }

    #[test]
    fn asks_for_version_13_with_host_and_key() {
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
    fn sends_an_origin_only_on_demand() {
        let origin = Origin::parse("http://example.org").unwrap();
        assert!(bytes(Some(origin)).ends_with("13\r\nOrigin: http://example.org\r\n\r\n"));
        assert!(!bytes(None).contains("Origin"));
    }

    #[test]
    fn an_origin_cannot_bring_lines_of_its_own() {
        for text in ["", "a b", "http://x\r\nX: y", "ü"] {
            assert_eq!(Origin::parse(text), Err(OriginError), "{text:?}");
        }
    }
}
