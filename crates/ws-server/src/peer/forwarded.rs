//! Who is at the other end of a connection that comes through proxies: what the proxies say about
//! it, and which of them are believed.
//!
//! A proxy appends the address that it was connected from to a field of the request. Anybody may
//! send such a field with anything in it, so it is read from its right end, where the proxy next to
//! us has written, and only as far as each address that is read is itself one of a trusted proxy.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use http::{HeaderMap, HeaderName, header::FORWARDED};
use ipnet::{IpNet, Ipv4Net};

/// How many bits of an IPv6 address say that it is an IPv4 address in disguise.
const MAPPED_PREFIX: u8 = 96;

/// The field in which proxies say whom they were connected from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ForwardedHeader {
    /// A list of addresses, as most proxies write it.
    #[default]
    XForwardedFor,
    /// A list of groups of parameters, `for` among them (RFC 7239).
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

/// Which proxies are believed, and in which field they speak. By default, none are.
///
/// Only this one field is looked at. A proxy that writes one of the two passes the other one on as
/// it came, and there a client could write whatever it likes. For the same reason the networks are
/// to hold proxies and no clients: a client in them is believed like a proxy.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TrustedProxies {
    networks: Vec<IpNet>,
    field: ForwardedHeader,
}

/// A text that is not a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// It is neither an address nor an address and the length of a prefix.
    #[error("write an address or a network, such as \"::1\", \"10.0.0.0/8\" or \"2001:db8::/32\"")]
    Syntax,
    /// There are bits behind the prefix, so that one of the two is a mistake.
    #[error("write \"{network}\" for the network, or \"{address}\" for the one address")]
    BitsBehindPrefix {
        /// The network without those bits.
        network: IpNet,
        /// The address without the prefix.
        address: IpAddr,
    },
}

impl TrustedProxies {
    /// Believes what is said in this field by whoever connects from one of these networks.
    pub fn new(networks: impl IntoIterator<Item = IpNet>, field: ForwardedHeader) -> Self {
        Self {
            networks: networks.into_iter().map(canonical).collect(),
            field,
        }
    }

    /// Reads one network: `10.0.0.0/8`, `2001:db8::/32`, or one address.
    pub fn parse_network(text: &str) -> Result<IpNet, NetworkError> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(canonical(address.into()));
        }
        let network: IpNet = text.parse().map_err(|_| NetworkError::Syntax)?;
        if network.trunc() == network {
            Ok(canonical(network))
        } else {
            Err(NetworkError::BitsBehindPrefix {
                network: network.trunc(),
                address: network.addr(),
            })
        }
    }

    /// Whether this is the address of a proxy that is believed.
    pub(crate) fn trusts(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.networks
            .iter()
            .any(|network| network.contains(&address))
    }

    /// The address of whoever sent a request, which came from this peer.
    ///
    /// It is the first address, read from the right end, that is none of a trusted proxy. If there
    /// is none, it is the proxy that is farthest away. An element that is no address says nothing
    /// about who was connected to the proxy that wrote it: then that proxy is all that is known.
    pub(crate) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer.to_canonical();
        // Each field line is read by itself, so that quotes which a client left open in one of them
        // do not swallow what a proxy adds in another.
        for line in headers.get_all(self.field.header_name()).iter().rev() {
            let mut rest = Some(line.as_bytes());
            while let Some(list) = rest {
                if !self.trusts(client) {
                    return client;
                }
                let (before, last) = self.field.split_last(list);
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

/// The same network, written for canonical addresses.
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

    /// The address in an element, if there is one.
    fn address(self, element: &[u8]) -> Option<IpAddr> {
        let element = std::str::from_utf8(element.trim_ascii()).ok()?;
        match self {
            Self::XForwardedFor => match element.parse::<Ipv6Addr>() {
                Ok(address) => Some(address.into()),
                Err(_) => parse_node(element),
            },
            Self::Forwarded => parse_node(&parse_for(element)?),
        }
    }
}

/// The last comma that stands in no quoted string. Quotes are matched from the right end, so that
/// what a proxy has appended is read in the same way whatever quotes a client has sent.
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

/// Whether a character in a quoted string is escaped by what stands before it.
fn is_escaped(before: &[u8]) -> bool {
    let backslashes = before.iter().rev().take_while(|byte| **byte == b'\\');
    backslashes.count() % 2 == 1
}

/// The value of the parameter `for` (RFC 7239 section 4). There is none if the element is not
/// written as it should be.
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

/// Splits a token (RFC 9110 section 5.6.2) off a text that begins with one.
fn split_token(text: &str) -> Option<(&str, &str)> {
    let is_in_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    let end = text.find(|c| !is_in_token(c)).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

/// Splits a quoted string, whose first quote is gone already, off a text.
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

/// The address in `192.0.2.1` or `[2001:db8::1]`, behind which a port may follow (RFC 7239
/// section 6).
fn parse_node(node: &str) -> Option<IpAddr> {
    let (address, port): (IpAddr, _) = if let Some(rest) = node.strip_prefix('[') {
        let (address, port) = rest.split_once(']')?;
        (address.parse::<Ipv6Addr>().ok()?.into(), port)
    } else {
        let (address, port) = node.split_at(node.find(':').unwrap_or(node.len()));
        (address.parse::<Ipv4Addr>().ok()?.into(), port)
    };
    (port.is_empty() || is_port(port.strip_prefix(':')?)).then_some(address)
}

/// Whether a text is a port, or a name that a proxy has for one.
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
