//! What a request head gets: an upgrade, or a refusal that says what was wrong (RFC 6455 section
//! 4.2, RFC 9110, RFC 9112 section 3.2, RFC 7617).
//!
//! [`decide`] is pure. Nothing of the request is reflected in an answer but a subprotocol that is
//! configured here.

use std::sync::Arc;

use http::{
    HeaderMap, HeaderName, Method, Version,
    header::{
        ACCEPT, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, HOST, ORIGIN, SEC_WEBSOCKET_KEY,
        SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, TRANSFER_ENCODING, UPGRADE,
    },
    request::Parts,
    uri::{Authority, Scheme},
};
use proto::{basic::parse_authorization, key::Key, login::Attempt};
use serde::{Deserialize, Serialize};

use crate::{
    access::{Access, AllowedOrigin, Origin, parse_host},
    admission::{Availability, BudgetExhausted},
    handshake::refusal::{Refusal, WEBSOCKET_VERSION},
    route::{RouteMatch, Routes},
};

/// The path of the page for browsers.
const PAGE_PATH: &str = "/";

/// The policy for handshakes, from the configuration.
#[derive(Debug, Clone, Default)]
pub struct HandshakePolicy {
    /// The origins of pages that may connect, besides the server's own host.
    pub allowed_origins: Vec<AllowedOrigin>,
    /// The subprotocols that are spoken here, the best first.
    pub subprotocols: Vec<String>,
    /// Whether credentials may, or must, come with the handshake.
    pub basic: BasicAuthMode,
    /// What is to be had where.
    pub routes: Routes,
    /// Whether a browser that does not ask for an upgrade gets the page.
    pub page: bool,
}

/// The use of credentials in the handshake (RFC 7617).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum BasicAuthMode {
    /// Credentials log the peer in. Without them it logs in by its first messages.
    #[default]
    Optional,
    /// A handshake without credentials is refused.
    Required,
    /// Credentials are ignored, and the peer logs in by its first messages. No request publishes.
    Off,
}

/// The decision on a request.
#[derive(Debug)]
pub enum Decision {
    /// The connection becomes a WebSocket, and the peer logs in by its first messages.
    Upgrade(Upgrade),
    /// The connection becomes a WebSocket that is logged in, if this try is right.
    Verify(Upgrade, Attempt),
    /// The body of the request is published at this place, if this try is right.
    Publish(RouteMatch, Attempt),
    /// A browser that does not ask for an upgrade gets the page.
    Page,
    /// The request is refused.
    Refuse(Refusal),
}

/// An accepted handshake: the fields of its response, and the route.
#[derive(Debug, Clone)]
pub struct Upgrade {
    /// The route and the path of the connection.
    pub matched: RouteMatch,
    /// The value of `Sec-WebSocket-Accept`.
    pub accept: String,
    /// The subprotocol that both sides speak.
    pub subprotocol: Option<String>,
}

/// Decides what a request gets. The first rule that applies decides. The budget is that of the
/// address which the request comes from.
pub fn decide(
    head: &Parts,
    policy: &HandshakePolicy,
    availability: Availability,
    budget: Result<(), BudgetExhausted>,
) -> Decision {
    match check(head, policy, availability, budget) {
        Ok(decision) => decision,
        Err(Refusal::NoUpgrade | Refusal::UnknownPath) if policy.page && wants_page(head) => {
            Decision::Page
        }
        Err(refusal) => Decision::Refuse(refusal),
    }
}

fn check(
    head: &Parts,
    policy: &HandshakePolicy,
    availability: Availability,
    budget: Result<(), BudgetExhausted>,
) -> Result<Decision, Refusal> {
    let path = head.uri.path();
    let route = policy.routes.find(path);
    // Where no request logs anybody in, none can say who speaks.
    let accepts_posts = policy.basic != BasicAuthMode::Off
        && route.is_some_and(|route| route.service.accepts_posts());
    let is_post = accepts_posts && head.method == Method::POST;
    let host = check_form(head)?;
    if announces_body(&head.headers) && !is_post {
        return Err(Refusal::UnexpectedBody);
    }
    match availability {
        Availability::Open => {}
        Availability::Full => return Err(Refusal::Full),
        Availability::Draining => return Err(Refusal::Draining),
    }
    let route = route.ok_or(Refusal::UnknownPath)?;
    if head.method != Method::GET && !is_post {
        return Err(if accepts_posts {
            Refusal::MethodNotAllowedGetPost
        } else {
            Refusal::MethodNotAllowed
        });
    }
    let key = if is_post {
        None
    } else {
        Some(check_upgrade(&head.headers)?)
    };
    if let Some(origin) = head.headers.get(ORIGIN) {
        let allowed = route.allowed_origins.as_ref();
        let allowed = allowed.unwrap_or(&policy.allowed_origins);
        check_origin(origin.to_str().ok(), &host, allowed)?;
    }
    if let Err(BudgetExhausted { retry_after }) = budget {
        return Err(Refusal::TooManyFailures { retry_after });
    }
    let matched = RouteMatch {
        route: Arc::clone(route),
        path: route.pattern.to_arc(path),
    };
    let Some(key) = key else {
        let attempt = attempt(&head.headers).ok_or(Refusal::NoCredentials)?;
        return Ok(Decision::Publish(matched, attempt));
    };
    let attempt = match (policy.basic, attempt(&head.headers)) {
        (BasicAuthMode::Off, _) => None,
        (BasicAuthMode::Required, None) if route.access != Access::Public => {
            return Err(Refusal::NoCredentials);
        }
        (BasicAuthMode::Optional | BasicAuthMode::Required, attempt) => attempt,
    };
    let subprotocols = route.subprotocols.as_ref();
    let upgrade = Upgrade {
        matched,
        accept: key.accept(),
        subprotocol: subprotocol(&head.headers, subprotocols.unwrap_or(&policy.subprotocols)),
    };
    Ok(match attempt {
        None => Decision::Upgrade(upgrade),
        Some(attempt) => Decision::Verify(upgrade, attempt),
    })
}

/// Whether a request is a browser's for its window: it says that it takes HTML, and has no `Upgrade`
/// at all. Others learn what this server speaks.
fn wants_page(head: &Parts) -> bool {
    head.method == Method::GET
        && head.uri.path() == PAGE_PATH
        && !head.headers.contains_key(UPGRADE)
        && tokens(&head.headers, &ACCEPT).any(takes_html)
}

/// Whether an element of `Accept` names HTML, and not as what is not taken (RFC 9110 section 12.5.1).
fn takes_html(element: &str) -> bool {
    let mut parts = element.split(';').map(str::trim);
    let is_html = parts
        .next()
        .is_some_and(|kind| kind.eq_ignore_ascii_case("text/html"));
    let is_zero = |weight: &str| weight.trim_end_matches(['0', '.']).is_empty();
    is_html
        && !parts.any(|part| {
            let weight = part.strip_prefix("q=").or_else(|| part.strip_prefix("Q="));
            weight.is_some_and(is_zero)
        })
}

/// The try to log in that comes with a request. Whatever is no credentials, or more than one, is a
/// wrong try.
fn attempt(headers: &HeaderMap) -> Option<Attempt> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    match (values.next(), values.next()) {
        (None, _) => None,
        (Some(value), None) => Some(parse_authorization(value.as_bytes()).into()),
        (Some(_), Some(_)) => Some(Attempt::Malformed),
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
    Ok(host)
}

fn announces_body(headers: &HeaderMap) -> bool {
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    headers.contains_key(TRANSFER_ENCODING) || lengths.any(|length| length != "0")
}

/// The value of a field that may stand in a request once at most.
fn single<'h>(
    headers: &'h HeaderMap,
    name: &HeaderName,
) -> Result<Option<&'h http::HeaderValue>, Refusal> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    if values.next().is_some() {
        Err(Refusal::DuplicateField)
    } else {
        Ok(first)
    }
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
                Err(Refusal::BadRequestTarget)
            }
        }
        _ => Err(Refusal::BadRequestTarget),
    }
}

/// Checks that a WebSocket is asked for, and yields the key.
fn check_upgrade(headers: &HeaderMap) -> Result<Key, Refusal> {
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
        let key = headers.get(SEC_WEBSOCKET_KEY).ok_or(Refusal::NoKey)?;
        let key = key.to_str().map_err(|_| Refusal::BadKey)?;
        Key::parse(key).map_err(|_| Refusal::BadKey)
    }
}

fn check_origin(
    origin: Option<&str>,
    host: &Authority,
    allowed: &[AllowedOrigin],
) -> Result<(), Refusal> {
    let origin = origin.ok_or(Refusal::OriginNotAllowed)?;
    let allowed = if origin == "null" {
        allowed.contains(&AllowedOrigin::Null)
    } else {
        let origin = Origin::parse(origin).map_err(|_| Refusal::OriginNotAllowed)?;
        origin.is_of_host(host) || allowed.contains(&AllowedOrigin::Of(origin))
    };
    if allowed {
        Ok(())
    } else {
        Err(Refusal::OriginNotAllowed)
    }
}

/// The first of our subprotocols that the client offers.
fn subprotocol(headers: &HeaderMap, ours: &[String]) -> Option<String> {
    let mut ours = ours.iter();
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
