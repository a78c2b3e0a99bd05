//! The names by which clients may address the server, against DNS rebinding.
//!
//! A page of another origin can have its own name resolve to this machine. Its requests are then of the
//! same origin for the browser, and only `Host` shows the foreign name.

use std::{fmt, net::IpAddr, str::FromStr};

use crate::access::parse_host;

/// A name of the server: a host name in lower case, or an address, without a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerName(Host);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Host {
    Address(IpAddr),
    /// In lower case, without the dot of an absolute name.
    Name(String),
}

impl Host {
    /// Parses the host of a `Host` field, without its port.
    fn parse(host: &str) -> Self {
        let literal = host.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
        if let Ok(address) = literal.unwrap_or(host).parse::<IpAddr>() {
            Self::Address(address.to_canonical())
        } else {
            let name = host.strip_suffix('.').unwrap_or(host);
            Self::Name(name.to_ascii_lowercase())
        }
    }

    /// Returns true for an address of this machine, and for names that browsers resolve to one without
    /// asking DNS (RFC 6761 section 6.3).
    fn is_loopback(&self) -> bool {
        match self {
            Self::Address(address) => address.is_loopback(),
            Self::Name(name) => name == "localhost" || name.ends_with(".localhost"),
        }
    }
}

/// The names that the server answers to.
#[derive(Debug, Clone, Default)]
pub(crate) struct ServerNames(Vec<ServerName>);

/// The addresses that reach a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Only this machine reaches it.
    Loopback,
    /// Other machines reach it.
    Network,
}

impl ServerNames {
    /// Combines the configured names.
    pub(crate) fn new(names: Vec<ServerName>) -> Self {
        Self(names)
    }

    /// Returns true if the server answers to this `Host` (RFC 9110 section 7.2) on a listener of this
    /// reach: on loopback, to names of loopback and the configured ones; elsewhere, to the configured
    /// ones, or to any if there are none.
    pub(crate) fn admit(&self, host: &str, reach: Reach) -> bool {
        if reach == Reach::Network && self.0.is_empty() {
            return true;
        }
        let Some(authority) = parse_host(host) else {
            return false;
        };
        let host = Host::parse(authority.host());
        let is_listed = self.0.iter().any(|name| name.0 == host);
        is_listed || reach == Reach::Loopback && host.is_loopback()
    }
}

impl FromStr for ServerName {
    type Err = ServerNameError;

    fn from_str(text: &str) -> Result<Self, ServerNameError> {
        let authority = parse_host(text).ok_or(ServerNameError)?;
        if authority.host() != text || text.contains('@') || text.contains('*') {
            return Err(ServerNameError);
        }
        Ok(Self(Host::parse(text)))
    }
}

impl fmt::Display for ServerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Host::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
            Host::Address(address) => address.fmt(f),
            Host::Name(name) => f.write_str(name),
        }
    }
}

/// A text that is not the name of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "write host names or addresses without a port, such as \"chat.example.org\" or \"[2001:db8::1]\""
)]
pub struct ServerNameError;

#[cfg(test)]
mod tests {
    use super::{Reach, ServerName, ServerNameError, ServerNames};

    fn names(names: &[&str]) -> ServerNames {
        ServerNames::new(names.iter().map(|name| name.parse().unwrap()).collect())
    }

    #[test]
    fn loopback_listener_admits_loopback_and_listed_names() {
        let names = names(&["Chat.Example.org", "192.0.2.1"]);
        for (host, expected) in [
            ("localhost", true),
            ("LOCALHOST.:5678", true),
            ("app.localhost:5678", true),
            ("127.0.0.1:5678", true),
            ("127.9.9.9", true),
            ("[::1]:5678", true),
            ("[::ffff:127.0.0.1]", true),
            ("chat.example.org:443", true),
            ("chat.example.org.", true),
            ("192.0.2.1", true),
            ("rebound.example", false),
            ("rebound.example:5678", false),
            ("notlocalhost", false),
            ("localhost.rebound.example", false),
            ("127.0.0.1.rebound.example", false),
            ("0.0.0.0", false),
            ("", false),
        ] {
            assert_eq!(names.admit(host, Reach::Loopback), expected, "{host}");
        }
    }

    #[test]
    fn network_listener_admits_listed_names_or_all() {
        assert!(names(&[]).admit("any.example", Reach::Network));
        let names = names(&["chat.example.org"]);
        assert!(names.admit("chat.example.org:5678", Reach::Network));
        for host in ["rebound.example", "localhost", "127.0.0.1"] {
            assert!(!names.admit(host, Reach::Network), "{host}");
        }
    }

    #[test]
    fn name_with_port_or_wildcard_is_refused() {
        for text in ["", "a:80", "a/", "*.a", "u@a", "[1]", "::1", "http://a"] {
            assert_eq!(text.parse::<ServerName>(), Err(ServerNameError), "{text}");
        }
        for text in ["chat.example.org", "192.0.2.1", "[2001:db8::1]"] {
            assert_eq!(text.parse::<ServerName>().unwrap().to_string(), text);
        }
    }
}
