//! What a request head gets: an upgrade, or a refusal that says what was wrong (RFC 6455 section
//! 4.2, RFC 9110, RFC 9112 section 3.2, RFC 7617).
//!
//! [`decide`] is pure. Nothing of the request is reflected in an answer but a subprotocol that is
//! configured here.

mod origin;
mod refusal;

use std::{fmt, net::Ipv6Addr};

use http::{
    HeaderMap, HeaderName, Method, Version,
    header::{
        AUTHORIZATION, CONNECTION, CONTENT_LENGTH, HOST, ORIGIN, SEC_WEBSOCKET_KEY,
        SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, TRANSFER_ENCODING, UPGRADE,
    },
    request::Parts,
    uri::{Authority, Scheme},
};
use proto::{basic::parse_authorization, key::Key, login::Attempt};

pub use self::{
    origin::{Origin, OriginError},
    refusal::Refusal,
};
pub use crate::auth::Spent;

/// The only version of the protocol that there is.
pub(crate) const WEBSOCKET_VERSION: &str = "13";

/// The path that is served.
const PATH: &str = "/";

/// What the configuration says about handshakes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// Whose pages may connect, besides our own host's.
    pub allowed_origins: Vec<AllowedOrigin>,
    /// The subprotocols that are spoken here, the best first.
    pub subprotocols: Vec<String>,
    /// Whether credentials may, or must, come with the handshake.
    pub basic: Basic,
}

/// An entry of the list of allowed origins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AllowedOrigin {
    /// Pages without an origin of their own, which say `null`.
    Null,
    /// Pages of this origin.
    Of(Origin),
}

impl fmt::Display for AllowedOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Of(origin) => origin.fmt(f),
        }
    }
}

/// Whether the server takes anybody in at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It does.
    Open,
    /// There is no place left.
    Full,
    /// It is shutting down.
    Draining,
}

/// Whether credentials may, or must, come with the handshake.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Basic {
    /// They log the peer in; without them, it logs in by its first messages.
    #[default]
    Optional,
    /// There is no handshake without them.
    Required,
    /// They are not looked at, and the peer logs in by its first messages.
    Off,
}

impl fmt::Display for Basic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Optional => "optional",
            Self::Required => "required",
            Self::Off => "off",
        })
    }
}

/// What a request gets.
#[derive(Debug)]
pub enum Decision {
    /// The connection becomes a WebSocket, and the peer logs in by its first messages.
    Upgrade(Upgrade),
    /// The connection becomes a WebSocket that is logged in, if this try is right.
    Verify(Upgrade, Attempt),
    /// The request is refused.
    Refuse(Refusal),
}

/// What the answer to a good handshake says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upgrade {
    /// The value of `Sec-WebSocket-Accept`.
    pub accept: String,
    /// The subprotocol that both sides speak.
    pub subprotocol: Option<String>,
}

/// Decides what a request gets. The first rule that applies decides. The budget is that of the
/// address which the request comes from.
pub fn decide(
    head: &Parts,
    rules: &Rules,
    standing: Standing,
    budget: Result<(), Spent>,
) -> Decision {
    match check(head, rules, standing, budget) {
        Ok((upgrade, None)) => Decision::Upgrade(upgrade),
        Ok((upgrade, Some(attempt))) => Decision::Verify(upgrade, attempt),
        Err(refusal) => Decision::Refuse(refusal),
    }
}

fn check(
    head: &Parts,
    rules: &Rules,
    standing: Standing,
    budget: Result<(), Spent>,
) -> Result<(Upgrade, Option<Attempt>), Refusal> {
    let host = check_form(head)?;
    match standing {
        Standing::Open => {}
        Standing::Full => return Err(Refusal::Full),
        Standing::Draining => return Err(Refusal::Draining),
    }
    if head.uri.path() != PATH {
        return Err(Refusal::UnknownPath);
    }
    if head.method != Method::GET {
        return Err(Refusal::Method);
    }
    check_upgrade(&head.headers)?;
    let key = head.headers.get(SEC_WEBSOCKET_KEY).ok_or(Refusal::NoKey)?;
    let key = key
        .to_str()
        .ok()
        .and_then(|key| Key::parse(key).ok())
        .ok_or(Refusal::BadKey)?;
    if let Some(origin) = head.headers.get(ORIGIN) {
        check_origin(origin.to_str().ok(), &host, &rules.allowed_origins)?;
    }
    if let Err(Spent { retry_after }) = budget {
        return Err(Refusal::TooManyFailures { retry_after });
    }
    let attempt = attempt(&head.headers, rules.basic)?;
    let upgrade = Upgrade {
        accept: key.accept(),
        subprotocol: subprotocol(&head.headers, rules),
    };
    Ok((upgrade, attempt))
}

/// The try to log in that comes with a request. Whatever is no credentials, or more than one, is a
/// wrong try.
fn attempt(headers: &HeaderMap, basic: Basic) -> Result<Option<Attempt>, Refusal> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    match (basic, values.next(), values.next()) {
        (Basic::Off, _, _) | (Basic::Optional, None, _) => Ok(None),
        (Basic::Required, None, _) => Err(Refusal::NoCredentials),
        (Basic::Optional | Basic::Required, Some(value), None) => {
            Ok(Some(parse_authorization(value.as_bytes()).into()))
        }
        (Basic::Optional | Basic::Required, Some(_), Some(_)) => Ok(Some(Attempt::Malformed)),
    }
}

/// Checks that the request is well formed, and yields the host that it is for.
fn check_form(head: &Parts) -> Result<Authority, Refusal> {
    if head.version != Version::HTTP_11 {
        return Err(Refusal::HttpVersion);
    }
    let host = single(&head.headers, &HOST)?.ok_or(Refusal::NoHost)?;
    let host = host
        .to_str()
        .ok()
        .and_then(parse_host)
        .ok_or(Refusal::BadHost)?;
    check_target(head, &host)?;
    for name in [SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, ORIGIN] {
        single(&head.headers, &name)?;
    }
    let announces_body = head.headers.contains_key(TRANSFER_ENCODING)
        || head
            .headers
            .get_all(CONTENT_LENGTH)
            .iter()
            .any(|length| length != "0");
    if announces_body {
        Err(Refusal::Body)
    } else {
        Ok(host)
    }
}

/// The value of a field that may stand in a request once at most.
fn single<'h>(
    headers: &'h HeaderMap,
    name: &HeaderName,
) -> Result<Option<&'h http::HeaderValue>, Refusal> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    if values.next().is_some() {
        Err(Refusal::Repeated)
    } else {
        Ok(first)
    }
}

/// A host with an optional port, and nothing else. The type of the HTTP library takes more than
/// RFC 3986 section 3.2 does: a sign before a port, anything in brackets, and brackets in a name.
fn parse_host(text: &str) -> Option<Authority> {
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

/// A target is a path, or an absolute URI of the very host that the request names.
fn check_target(head: &Parts, host: &Authority) -> Result<(), Refusal> {
    let uri = &head.uri;
    match (uri.scheme(), uri.authority()) {
        (None, None) if uri.path().starts_with('/') => Ok(()),
        (Some(scheme), Some(authority)) => {
            let is_http = *scheme == Scheme::HTTP || *scheme == Scheme::HTTPS;
            let default = if *scheme == Scheme::HTTPS { 443 } else { 80 };
            let same = parse_host(authority.as_str()).is_some_and(|authority| {
                authority.host().eq_ignore_ascii_case(host.host())
                    && authority.port_u16().unwrap_or(default) == host.port_u16().unwrap_or(default)
            });
            if is_http && same {
                Ok(())
            } else {
                Err(Refusal::Target)
            }
        }
        _ => Err(Refusal::Target),
    }
}

fn check_upgrade(headers: &HeaderMap) -> Result<(), Refusal> {
    if !has_token(headers, &UPGRADE, "websocket") {
        Err(Refusal::NoUpgrade)
    } else if !has_token(headers, &CONNECTION, "upgrade") {
        Err(Refusal::NoConnectionUpgrade)
    } else if headers
        .get(SEC_WEBSOCKET_VERSION)
        .is_none_or(|version| version != WEBSOCKET_VERSION)
    {
        Err(Refusal::WebSocketVersion)
    } else {
        Ok(())
    }
}

fn check_origin(
    origin: Option<&str>,
    host: &Authority,
    allowed: &[AllowedOrigin],
) -> Result<(), Refusal> {
    let origin = origin.ok_or(Refusal::Origin)?;
    let allowed = if origin == "null" {
        allowed.contains(&AllowedOrigin::Null)
    } else {
        let origin = Origin::parse(origin).map_err(|_| Refusal::Origin)?;
        origin.is_of_host(host) || allowed.contains(&AllowedOrigin::Of(origin))
    };
    if allowed {
        Ok(())
    } else {
        Err(Refusal::Origin)
    }
}

/// The first of our subprotocols that the client offers.
fn subprotocol(headers: &HeaderMap, rules: &Rules) -> Option<String> {
    let mut ours = rules.subprotocols.iter();
    let offered = |name: &str| tokens(headers, &SEC_WEBSOCKET_PROTOCOL).any(|token| token == name);
    ours.find(|name| offered(name)).cloned()
}

fn has_token(headers: &HeaderMap, name: &HeaderName, wanted: &str) -> bool {
    tokens(headers, name).any(|token| token.eq_ignore_ascii_case(wanted))
}

/// The elements of a list that may be spread over several fields.
fn tokens<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'h str> {
    let values = headers.get_all(name).into_iter();
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|list| list.split(','))
        .map(str::trim)
}

#[cfg(test)]
mod tests;
