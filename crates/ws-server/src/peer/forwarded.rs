//! The client address behind trusted proxies: `X-Forwarded-For`, and `Forwarded` (RFC 7239).
//!
//! A proxy appends the address of its peer to a field of the request. A client may send the same
//! field with any content (RFC 7239 section 8.1). So the list is read from its right end, where the
//! nearest proxy has written, and only while each address read belongs to a trusted proxy.
//!
//! The parser is our own because the list must be split from the right, including quotes: a client
//! could leave a quote open before the text that a proxy appends. A parser that reads from the left
//! would then take the proxy's element for a part of the client's string.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use http::{HeaderMap, HeaderName, header::FORWARDED};
use ipnet::{IpNet, Ipv4Net};

/// The prefix length of IPv4-mapped IPv6 addresses (RFC 4291 section 2.5.5.2).
const MAPPED_PREFIX: u8 = 96;

/// The header field in which proxies report the address of their peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ForwardedHeader {
    /// A list of addresses, the de-facto standard.
    #[default]
    XForwardedFor,
    /// A list of elements with a parameter `for` (RFC 7239 section 4).
    Forwarded,
}

/// A text that is not the name of a [`ForwardedHeader`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("write \"X-Forwarded-For\" or \"Forwarded\"")]
pub struct ForwardedHeaderError;

impl fmt::Display for ForwardedHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::XForwardedFor => "X-Forwarded-For",
            Self::Forwarded => "Forwarded",
        })
    }
}

impl FromStr for ForwardedHeader {
    type Err = ForwardedHeaderError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::XForwardedFor, Self::Forwarded]
            .into_iter()
            .find(|field| text.eq_ignore_ascii_case(&field.to_string()))
            .ok_or(ForwardedHeaderError)
    }
}

/// The trusted proxies, and the header field that they write. By default, no proxy is trusted.
///
/// Only this field is read. A proxy that writes one of the two fields passes on the other one
/// unchanged, so a client could forge it. For the same reason the networks must contain no clients: a
/// client in them is trusted like a proxy.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TrustedProxies {
    networks: Vec<IpNet>,
    field: ForwardedHeader,
}

/// An invalid network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// The text is neither an address nor a network in CIDR notation.
    #[error("write an address or a network, such as \"::1\", \"10.0.0.0/8\" or \"2001:db8::/32\"")]
    Syntax,
    /// Host bits are set, so either the address or the prefix length is wrong.
    #[error("write \"{network}\" for the network, or \"{address}\" for the one address")]
    HostBitsSet {
        /// The network without the host bits.
        network: IpNet,
        /// The address without the prefix length.
        address: IpAddr,
    },
}

impl TrustedProxies {
    /// Trusts this field in requests from peers in these networks.
    pub fn new(networks: impl IntoIterator<Item = IpNet>, field: ForwardedHeader) -> Self {
        Self {
            networks: networks.into_iter().map(canonical).collect(),
            field,
        }
    }

    /// Parses a network: `10.0.0.0/8`, `2001:db8::/32`, or a single address.
    ///
    /// # Errors
    ///
    /// A malformed network, or one with host bits.
    pub fn parse_network(text: &str) -> Result<IpNet, NetworkError> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(canonical(address.into()));
        }
        let network: IpNet = text.parse().map_err(|_| NetworkError::Syntax)?;
        if network.trunc() == network {
            Ok(canonical(network))
        } else {
            Err(NetworkError::HostBitsSet {
                network: network.trunc(),
                address: network.addr(),
            })
        }
    }

    /// Returns true if this is the address of a trusted proxy.
    pub(crate) fn trusts(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.networks
            .iter()
            .any(|network| network.contains(&address))
    }

    /// Returns the address of the client that sent a request through this peer.
    ///
    /// It is the first address from the right end that is not a trusted proxy. If all are trusted,
    /// it is the farthest proxy. An empty element is skipped (RFC 9110 section 5.6.1.2). An element
    /// without an address, such as `unknown` (RFC 7239 section 6.2), ends the search at the proxy that
    /// wrote it.
    pub(crate) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer.to_canonical();
        // Each field line is read on its own, so that a quote left open by a client in one line
        // does not affect the line of a proxy.
        for line in headers.get_all(self.field.header_name()).iter().rev() {
            let mut rest = Some(line.as_bytes());
            while let Some(list) = rest {
                if !self.trusts(client) {
                    return client;
                }
                let (before, last) = self.field.split_last(list);
                if self.field.is_empty(last) {
                    rest = before;
                    continue;
                }
                let Some(address) = self.field.address(last) else {
                    return client;
                };
                client = address.to_canonical();
                rest = before;
            }
        }
        client
    }
}

/// Converts an IPv4-mapped IPv6 network to IPv4, and clears host bits.
fn canonical(network: IpNet) -> IpNet {
    if let IpNet::V6(v6) = network
        && let Some(v4) = v6.network().to_ipv4_mapped()
        && let Some(prefix) = v6.prefix_len().checked_sub(MAPPED_PREFIX)
        && let Ok(network) = Ipv4Net::new(v4, prefix)
    {
        return IpNet::V4(network);
    }
    network.trunc()
}

impl ForwardedHeader {
    fn header_name(self) -> HeaderName {
        match self {
            Self::XForwardedFor => HeaderName::from_static("x-forwarded-for"),
            Self::Forwarded => FORWARDED,
        }
    }

    /// Splits the last element off a list.
    fn split_last(self, list: &[u8]) -> (Option<&[u8]>, &[u8]) {
        let comma = match self {
            Self::XForwardedFor => list.iter().rposition(|byte| *byte == b','),
            Self::Forwarded => last_unquoted_comma(list),
        };
        match comma {
            Some(comma) => (Some(&list[..comma]), &list[comma + 1..]),
            None => (None, list),
        }
    }

    /// Returns true if an element has no content. In `Forwarded`, parameters may be empty, too (RFC 7239
    /// section 4).
    fn is_empty(self, element: &[u8]) -> bool {
        element.iter().all(|byte| match byte {
            b' ' | b'\t' => true,
            b';' => self == Self::Forwarded,
            _ => false,
        })
    }

    /// Returns the address in an element, if it has one.
    fn address(self, element: &[u8]) -> Option<IpAddr> {
        let element = std::str::from_utf8(element.trim_ascii()).ok()?;
        match self {
            Self::XForwardedFor => match parse_ipv6(element) {
                Some(address) => Some(address.into()),
                None => parse_node(element),
            },
            Self::Forwarded => parse_node(&parse_for(element)?),
        }
    }
}

/// Returns the position of the last comma outside quoted strings. Quotes are matched from the right
/// end, so that quotes sent by the client do not affect the element of a proxy.
fn last_unquoted_comma(list: &[u8]) -> Option<usize> {
    let mut quoted = false;
    for (index, byte) in list.iter().enumerate().rev() {
        match byte {
            b'"' if quoted => quoted = is_escaped(&list[..index]),
            b'"' => quoted = true,
            b',' if !quoted => return Some(index),
            _ => {}
        }
    }
    None
}

/// Returns true if the preceding backslashes escape a character of a quoted string (RFC 9110 section
/// 5.6.4).
fn is_escaped(before: &[u8]) -> bool {
    let backslashes = before.iter().rev().take_while(|byte| **byte == b'\\');
    backslashes.count() % 2 == 1
}

/// Returns the value of the parameter `for` (RFC 7239 section 4), or `None` if the element is
/// malformed or has no single `for`.
fn parse_for(element: &str) -> Option<String> {
    let mut found = None;
    let mut rest = element;
    loop {
        rest = rest.trim_ascii_start();
        if !rest.is_empty() && !rest.starts_with(';') {
            let (name, value) = split_token(rest)?;
            let value = value.strip_prefix('=')?;
            let (value, after) = match value.strip_prefix('"') {
                Some(quoted) => split_quoted(quoted)?,
                None => split_token(value).map(|(value, after)| (value.to_owned(), after))?,
            };
            if name.eq_ignore_ascii_case("for") && found.replace(value).is_some() {
                return None;
            }
            rest = after.trim_ascii_start();
        }
        match rest.strip_prefix(';') {
            Some(next) => rest = next,
            None if rest.is_empty() => return found,
            None => return None,
        }
    }
}

/// Splits off a leading token (RFC 9110 section 5.6.2).
fn split_token(text: &str) -> Option<(&str, &str)> {
    let is_in_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    let end = text.find(|c| !is_in_token(c)).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

/// Splits off a quoted string whose opening quote is already removed (RFC 9110 section 5.6.4).
fn split_quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.chars();
    loop {
        match chars.next()? {
            '"' => return Some((value, chars.as_str())),
            '\\' => value.push(chars.next()?),
            c => value.push(c),
        }
    }
}

/// Parses a node: `192.0.2.1` or `[2001:db8::1]`, optionally with a port (RFC 7239 section 6).
fn parse_node(node: &str) -> Option<IpAddr> {
    let (address, port): (IpAddr, _) = if let Some(rest) = node.strip_prefix('[') {
        let (address, port) = rest.split_once(']')?;
        (parse_ipv6(address)?.into(), port)
    } else {
        let (address, port) = node.split_at(node.find(':').unwrap_or(node.len()));
        (address.parse::<Ipv4Addr>().ok()?.into(), port)
    };
    (port.is_empty() || is_port(port.strip_prefix(':')?)).then_some(address)
}

/// Parses an IPv6 address. A link-local one may have a zone (RFC 4007 section 11), which only the
/// proxy can resolve. It is ignored.
fn parse_ipv6(text: &str) -> Option<Ipv6Addr> {
    let (address, zone) = match text.split_once('%') {
        Some((address, zone)) => (address, Some(zone)),
        None => (text, None),
    };
    let address: Ipv6Addr = address.parse().ok()?;
    let zone_is_valid = zone.is_none_or(|zone| !zone.is_empty() && address.is_unicast_link_local());
    zone_is_valid.then_some(address)
}

/// Returns true for a port or an obfuscated port (RFC 7239 section 6).
fn is_port(text: &str) -> bool {
    match text.strip_prefix('_') {
        Some(name) => {
            !name.is_empty()
                && name
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
        }
        None => text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok(),
    }
}

#[cfg(test)]
#[path = "tests/forwarded.rs"]
mod tests;
