//! The origin of a web page (RFC 6454), as the `Origin` field names it (RFC 6455 section 10.2).

use std::{fmt, net::Ipv6Addr, str::FromStr};

use http::uri::Authority;

/// A normalised origin: scheme and host in lower case, and the default port filled in. So two
/// spellings of one origin are equal (RFC 6454 section 5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    scheme: String,
    host: String,
    port: Option<u16>,
}

/// A text that is not an [`Origin`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an origin is written as scheme://host or scheme://host:port, without a path")]
pub struct OriginError;

impl Origin {
    /// Parses `scheme://host[:port]` (RFC 6454 section 6.2).
    ///
    /// # Errors
    ///
    /// Any other text, such as one with a path or user information.
    pub fn parse(text: &str) -> Result<Self, OriginError> {
        let (scheme, authority) = text.split_once("://").ok_or(OriginError)?;
        let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'));
        let authority = parse_host(authority).ok_or(OriginError)?;
        if !is_scheme || authority.as_str().contains('@') || authority.as_str().ends_with(':') {
            return Err(OriginError);
        }
        let scheme = scheme.to_ascii_lowercase();
        let port = authority.port_u16().or(default_port(&scheme));
        Ok(Self {
            host: authority.host().to_ascii_lowercase(),
            port,
            scheme,
        })
    }

    /// Returns true for the origin of pages that this host and port serve over HTTP or HTTPS.
    pub(crate) fn is_of_host(&self, host: &Authority) -> bool {
        matches!(self.scheme.as_str(), "http" | "https")
            && self.host.eq_ignore_ascii_case(host.host())
            && self.port == host.port_u16().or(default_port(&self.scheme))
    }
}

/// The origin of local files, as some browsers and web views send it. It has no host.
pub(crate) const FILE_ORIGIN: &str = "file://";

/// An entry of the list of allowed origins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AllowedOrigin {
    /// Local files, serialised as `file://`.
    File,
    /// Pages with an opaque origin, serialised as `null` (RFC 6454 section 6.2).
    Null,
    /// Pages of this origin.
    Of(Origin),
}

/// A text that is not an [`AllowedOrigin`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AllowedOriginError {
    /// The text is not an origin.
    #[error(transparent)]
    Syntax(#[from] OriginError),
    /// The text contains a `*`, which would match no origin.
    #[error("`*` matches nothing here: write each origin, such as \"https://chat.example.org\"")]
    Wildcard,
}

impl FromStr for AllowedOrigin {
    type Err = AllowedOriginError;

    fn from_str(text: &str) -> Result<Self, AllowedOriginError> {
        match text {
            "null" => Ok(Self::Null),
            FILE_ORIGIN => Ok(Self::File),
            text if text.contains('*') => Err(AllowedOriginError::Wildcard),
            text => Ok(Self::Of(Origin::parse(text)?)),
        }
    }
}

impl fmt::Display for AllowedOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::File => f.write_str(FILE_ORIGIN),
            Self::Of(origin) => origin.fmt(f),
        }
    }
}

/// Parses a host with an optional port, and nothing else (RFC 9110 section 7.2). `Authority` alone
/// accepts more than RFC 3986 section 3.2 allows: a sign before a port, any text in brackets, and
/// brackets in a name.
pub(crate) fn parse_host(text: &str) -> Option<Authority> {
    let authority: Authority = text.parse().ok()?;
    let host = authority.host();
    let after_host = authority.as_str().strip_prefix(host)?;
    let port_is_valid = match after_host.strip_prefix(':') {
        // A port may be empty.
        Some("") => true,
        Some(port) => {
            port.bytes().all(|byte| byte.is_ascii_digit()) && authority.port_u16().is_some()
        }
        None => after_host.is_empty(),
    };
    let host_is_valid = match host.strip_prefix('[') {
        Some(literal) => literal
            .strip_suffix(']')
            .is_some_and(|address| address.parse::<Ipv6Addr>().is_ok()),
        None => !host.is_empty() && !host.contains(['[', ']']),
    };
    (host_is_valid && port_is_valid).then_some(authority)
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" | "ws" => Some(80),
        "https" | "wss" => Some(443),
        _ => None,
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.host)?;
        match self.port {
            Some(port) if Some(port) != default_port(&self.scheme) => write!(f, ":{port}"),
            Some(_) | None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{AllowedOrigin, AllowedOriginError, Origin, OriginError};

    #[test]
    fn spellings_of_one_origin_equal() {
        for (one, other) in [
            ("https://example.org", "HTTPS://Example.ORG:443"),
            ("http://example.org", "http://example.org:80"),
            ("http://[::1]:5678", "http://[::1]:5678"),
        ] {
            assert_eq!(Origin::parse(one), Origin::parse(other));
        }
        assert_ne!(
            Origin::parse("http://example.org"),
            Origin::parse("https://example.org")
        );
        assert_eq!(
            Origin::parse("https://Example.org:443")
                .unwrap()
                .to_string(),
            "https://example.org"
        );
    }

    /// Former fault: `file://` could not be allowed, and an entry with `*` never matched.
    #[test]
    fn allowed_origin_may_be_file_but_no_wildcard() {
        for text in ["null", "file://", "https://example.org"] {
            let allowed: AllowedOrigin = text.parse().unwrap();
            assert_eq!(allowed.to_string(), text);
        }
        for text in ["*", "https://*.example.org", "https://*", "*://example.org"] {
            let parsed = text.parse::<AllowedOrigin>();
            assert_eq!(parsed, Err(AllowedOriginError::Wildcard), "{text}");
        }
        for text in ["file:///", "file:///page.html", "example.org"] {
            let parsed = text.parse::<AllowedOrigin>();
            assert_eq!(parsed, Err(OriginError.into()), "{text}");
        }
    }

    #[test]
    fn malformed_origin_refused() {
        for text in [
            "",
            "null",
            "example.org",
            "https://",
            "https://example.org/",
            "https://example.org/page",
            "https://user@example.org",
            "https://example.org:",
            "https://example.org:99999",
            "https://exa mple.org",
            "1https://example.org",
        ] {
            assert_eq!(Origin::parse(text), Err(OriginError), "{text:?}");
        }
    }
}
