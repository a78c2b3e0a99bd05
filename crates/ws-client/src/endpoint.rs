//! The URL of a server (RFC 6455 section 3), parsed once into the parts that a connection
//! needs.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
};

use url::{Host, Url};

/// A URL scheme.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// WebSocket over TCP, unencrypted.
    Ws,
    /// WebSocket over TLS.
    Wss,
}

impl Scheme {
    /// Returns the port that applies if the URL names none.
    fn default_port(self) -> u16 {
        match self {
            Self::Ws => 80,
            Self::Wss => 443,
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ws => "ws",
            Self::Wss => "wss",
        })
    }
}

/// A server and a resource on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    scheme: Scheme,
    host: Host<String>,
    port: u16,
    /// The path and the query, as in the request line.
    target: String,
}

impl Endpoint {
    /// Parses a URL. `http` and `https` mean `ws` and `wss`, as in the API of browsers. `host:port`
    /// without a scheme means `ws` on this machine.
    ///
    /// # Errors
    ///
    /// The text is no such URL. The error quotes nothing of it, because it may hold a password.
    pub fn parse(text: &str) -> Result<Self, EndpointError> {
        match Url::parse(text) {
            Ok(url) => match url.scheme() {
                "ws" | "http" => Self::with_scheme(Scheme::Ws, &url),
                "wss" | "https" => Self::with_scheme(Scheme::Wss, &url),
                _ => Self::without_scheme(text),
            },
            Err(url::ParseError::RelativeUrlWithoutBase) => Self::without_scheme(text),
            Err(error) => Err(EndpointError::Malformed(error)),
        }
    }

    /// Parses `host:port`, with a path or without.
    fn without_scheme(text: &str) -> Result<Self, EndpointError> {
        let authority = text.split(['/', '?', '#']).next().unwrap_or_default();
        let is_port = |port: &str| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
        match authority.rsplit_once(':') {
            Some((_, port)) if is_port(port) => {}
            _ => return Err(EndpointError::NoScheme),
        }
        let url = Url::parse(&["ws://", text].concat()).map_err(EndpointError::Malformed)?;
        let endpoint = Self::with_scheme(Scheme::Ws, &url)?;
        if endpoint.is_loopback() {
            Ok(endpoint)
        } else {
            Err(EndpointError::HostWithoutScheme)
        }
    }

    fn with_scheme(scheme: Scheme, url: &Url) -> Result<Self, EndpointError> {
        if url.password().is_some() {
            return Err(EndpointError::Password);
        }
        if !url.username().is_empty() {
            return Err(EndpointError::User);
        }
        if url.fragment().is_some() {
            return Err(EndpointError::Fragment);
        }
        let port = url.port().unwrap_or(scheme.default_port());
        if port == 0 {
            return Err(EndpointError::PortZero);
        }
        let mut target = url.path().to_owned();
        if let Some(query) = url.query() {
            target.push('?');
            target.push_str(query);
        }
        Ok(Self {
            scheme,
            host: url.host().ok_or(EndpointError::NoScheme)?.to_owned(),
            port,
            target,
        })
    }

    /// Returns the scheme.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Returns the host that the server's certificate must name.
    pub fn host(&self) -> &Host<String> {
        &self.host
    }

    /// Returns the path and the query.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// Returns the value of the `Host` field, without the scheme's default port.
    pub fn host_field(&self) -> String {
        if self.port == self.scheme.default_port() {
            self.host.to_string()
        } else {
            self.authority()
        }
    }

    /// Returns the host and port, for messages. The port is always included.
    pub fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// Returns the scheme, host and port, for messages. The port is always included.
    pub fn origin(&self) -> String {
        format!("{}://{}", self.scheme, self.authority())
    }

    /// Returns true if sent data stays on this machine.
    pub fn is_loopback(&self) -> bool {
        match &self.host {
            Host::Domain(name) => {
                let name = name.strip_suffix('.').unwrap_or(name);
                name == "localhost" || name.ends_with(".localhost")
            }
            Host::Ipv4(address) => address.is_loopback(),
            Host::Ipv6(address) => IpAddr::V6(*address).to_canonical().is_loopback(),
        }
    }

    /// Returns true if this address may be connected to. A loopback name must resolve to loopback,
    /// because passwords are sent there unencrypted without asking.
    pub fn allows(&self, address: SocketAddr) -> bool {
        !self.is_loopback() || address.ip().to_canonical().is_loopback()
    }

    /// Returns true if scheme, host and port are equal. If so, a password for one endpoint may be sent
    /// to the other.
    pub fn same_origin(&self, other: &Self) -> bool {
        (self.scheme, &self.host, self.port) == (other.scheme, &other.host, other.port)
    }

    /// Returns the host and port for the resolver. An IPv6 address has no brackets.
    pub fn resolvable(&self) -> (String, u16) {
        let host = match &self.host {
            Host::Domain(name) => name.clone(),
            Host::Ipv4(address) => address.to_string(),
            Host::Ipv6(address) => address.to_string(),
        };
        (host, self.port)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme, self.host_field(), self.target)
    }
}

/// The reason why a text is not a usable URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// The scheme is missing, or none of `ws`, `wss`, `http` and `https`.
    #[error("the URL must begin with ws:// or wss://, as in ws://127.0.0.1:5678")]
    NoScheme,
    /// The scheme of a host that is not this machine is missing.
    #[error(
        "the URL has no scheme, which only a host and port of this machine may leave out; begin it with wss://, or with ws:// if it need not be encrypted"
    )]
    HostWithoutScheme,
    /// The URL is malformed.
    #[error("the URL cannot be read: {0}")]
    Malformed(url::ParseError),
    /// The URL holds a password.
    #[error(
        "the URL holds a password, which other users can see; remove it, and use --user with --password-file"
    )]
    Password,
    /// The URL holds a user name.
    #[error("the URL holds a user name; remove it, and use --user")]
    User,
    /// The URL has a fragment after `#`, which is never sent (RFC 6455 section 3).
    #[error("a WebSocket URL has no fragment; remove the # and what follows it")]
    Fragment,
    /// The URL names port 0.
    #[error("the URL has port 0, on which no server can listen; write the server's port")]
    PortZero,
}

#[cfg(test)]
mod tests {
    use super::{Endpoint, EndpointError};

    fn endpoint(text: &str) -> Endpoint {
        Endpoint::parse(text).unwrap()
    }

    #[test]
    fn url_gives_host_field_and_target() {
        for (text, host, target) in [
            ("ws://127.0.0.1:5678", "127.0.0.1:5678", "/"),
            ("ws://example.org", "example.org", "/"),
            ("ws://example.org:80/a", "example.org", "/a"),
            (
                "WS://Example.ORG:8080/a/b?c=d%20e",
                "example.org:8080",
                "/a/b?c=d%20e",
            ),
            ("ws://[::1]:9/?", "[::1]:9", "/?"),
            ("wss://example.org", "example.org", "/"),
            ("wss://example.org:443/a", "example.org", "/a"),
            ("wss://example.org:80/a", "example.org:80", "/a"),
            ("ws://example.org:443/a", "example.org:443", "/a"),
            ("ws://host/a b", "host", "/a%20b"),
            ("ws://host/a\r\nX: y", "host", "/aX:%20y"),
        ] {
            let endpoint = endpoint(text);
            assert_eq!(endpoint.host_field(), host, "{text}");
            assert_eq!(endpoint.target(), target, "{text}");
        }
        assert_eq!(endpoint("ws://[::1]:9/x").resolvable(), ("::1".into(), 9));
        assert_eq!(endpoint("wss://h/x").resolvable(), ("h".into(), 443));
        for text in ["ws://h:9/x", "wss://h:9/x", "wss://h/?q"] {
            assert_eq!(endpoint(text).to_string(), text);
        }
        assert_eq!(endpoint("wss://h/x").origin(), "wss://h:443");
    }

    #[test]
    fn url_of_page_or_port_of_this_machine_is_accepted() {
        for (text, meaning) in [
            ("http://example.org/a?b", "ws://example.org/a?b"),
            ("https://example.org", "wss://example.org/"),
            ("http://example.org:443", "ws://example.org:443/"),
            ("127.0.0.1:5678", "ws://127.0.0.1:5678/"),
            ("localhost:5678/room/a?b", "ws://localhost:5678/room/a?b"),
            ("LocalHost:80", "ws://localhost/"),
            ("[::1]:5678", "ws://[::1]:5678/"),
            ("127.0.0.1:5678?x:9", "ws://127.0.0.1:5678/?x:9"),
        ] {
            assert_eq!(endpoint(text).to_string(), meaning, "{text}");
        }
        assert!(endpoint("http://h").same_origin(&endpoint("ws://h")));
    }

    #[test]
    fn other_url_than_plain_websocket_is_rejected() {
        for (text, error) in [
            ("", EndpointError::NoScheme),
            ("localhost", EndpointError::NoScheme),
            ("localhost:", EndpointError::NoScheme),
            ("127.0.0.1", EndpointError::NoScheme),
            ("/path:80", EndpointError::NoScheme),
            ("ftp://host", EndpointError::NoScheme),
            ("ws+unix:/run/x.sock:/", EndpointError::NoScheme),
            ("example.org:80", EndpointError::HostWithoutScheme),
            ("192.0.2.1:80/live", EndpointError::HostWithoutScheme),
            ("admin@localhost:80", EndpointError::User),
            ("admin:hunter2@localhost:80", EndpointError::Password),
            ("localhost:0", EndpointError::PortZero),
            ("localhost:80#part", EndpointError::Fragment),
            ("https://admin:hunter2@host", EndpointError::Password),
            (
                "admin:123456",
                EndpointError::Malformed(url::ParseError::InvalidPort),
            ),
            ("ws://admin:hunter2@host", EndpointError::Password),
            ("ws://:hunter2@host", EndpointError::Password),
            ("ws://admin@host", EndpointError::User),
            ("wss://admin:hunter2@host", EndpointError::Password),
            ("ws://host/#part", EndpointError::Fragment),
            ("ws://host:0/", EndpointError::PortZero),
            (
                "ws://",
                EndpointError::Malformed(url::ParseError::EmptyHost),
            ),
            (
                "ws://host:99999",
                EndpointError::Malformed(url::ParseError::InvalidPort),
            ),
        ] {
            assert_eq!(Endpoint::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn error_never_quotes_a_password() {
        for text in [
            "ws://admin:hunter2@host",
            "wss://admin:hunter2@host",
            "admin:hunter2@host",
            "admin:hunter2@host:80",
            "http://admin:hunter2@host",
            "ws://admin:hunter2@host:port",
            "ws://admin:hunter2@",
        ] {
            let error = Endpoint::parse(text).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn loopback_hosts_are_recognised() {
        for text in [
            "ws://127.0.0.1",
            "ws://127.9.9.9:1",
            "ws://[::1]",
            "ws://[::ffff:127.0.0.1]",
            "ws://localhost:5678",
            "ws://LOCALHOST.",
            "ws://a.localhost",
            "wss://127.0.0.1",
        ] {
            assert!(endpoint(text).is_loopback(), "{text}");
        }
        for text in [
            "ws://192.168.0.1",
            "ws://0.0.0.0",
            "ws://[::]",
            "ws://localhost.example.org",
            "ws://notlocalhost",
            "ws://127.0.0.1.example.org",
        ] {
            assert!(!endpoint(text).is_loopback(), "{text}");
        }
    }

    #[test]
    fn loopback_name_allows_loopback_addresses_only() {
        let localhost = endpoint("ws://localhost:1");
        assert!(localhost.allows("127.0.0.1:1".parse().unwrap()));
        assert!(localhost.allows("[::1]:1".parse().unwrap()));
        assert!(!localhost.allows("192.0.2.1:1".parse().unwrap()));
        assert!(endpoint("ws://host").allows("192.0.2.1:80".parse().unwrap()));
    }

    #[test]
    fn origin_is_scheme_host_and_port() {
        let here = endpoint("ws://host:81/a");
        assert!(here.same_origin(&endpoint("ws://HOST:81/b?c")));
        assert!(!here.same_origin(&endpoint("ws://host:82/a")));
        assert!(!here.same_origin(&endpoint("ws://other:81/a")));
        assert!(endpoint("ws://host").same_origin(&endpoint("ws://host:80/")));
        assert!(endpoint("wss://host").same_origin(&endpoint("wss://host:443/")));
        assert!(!here.same_origin(&endpoint("wss://host:81/a")));
    }
}
