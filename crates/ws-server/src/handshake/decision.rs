//! The decision on a request head: an upgrade, the page, the description of a route, a publication, or
//! a refusal with the reason.
//!
//! The checks run in this order, and the first that fails decides:
//!
//! 1. The form of the request (RFC 9112 section 3.2, RFC 9110 section 5.3) and of its path (RFC 3986
//!    section 6.2.2), and the absence of a body (RFC 9110 section 9.3.1).
//! 2. The availability of the server (RFC 9110 section 15.6.4).
//! 3. The path and the method (RFC 9110 sections 15.5.5, 15.5.6).
//! 4. The upgrade fields and the key (RFC 6455 section 4.2.1, items 3 to 6). A request for the page
//!    or the description ends before this check.
//! 5. The origin (RFC 6455 sections 4.2.2 and 10.2, RFC 6454).
//! 6. The failure budget of the address (RFC 6585 section 4), for a description too. It does not stop
//!    a ticket.
//! 7. The presence of required credentials (RFC 7617, RFC 9110 section 11.6.2).
//!
//! The origin of a request for the page or the description is not checked: browsers send none with
//! the requests of their own pages, and a page of another origin cannot read the response.
//!
//! [`decide`] is pure. A response reflects nothing of the request except a configured subprotocol.

use std::sync::Arc;

use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Version,
    header::{
        ACCEPT, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, HOST, ORIGIN, SEC_WEBSOCKET_KEY,
        SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, TRANSFER_ENCODING, UPGRADE,
    },
    request::Parts,
    uri::{Authority, Scheme},
};
use proto::{basic::parse_authorization, key::Key, login::Attempt};

use crate::{
    access::{Access, AllowedOrigin, FILE_ORIGIN, Origin, normalize_path, parse_host},
    admission::{Availability, BudgetExhausted},
    handshake::{
        description::RouteDescription,
        policy::{BasicAuthMode, HandshakePolicy},
        refusal::{Refusal, WEBSOCKET_VERSION},
    },
    route::RouteMatch,
};

/// The path at which browsers get the page even without a route.
const PAGE_PATH: &str = "/";

/// The decision on a request.
#[derive(Debug)]
pub enum Decision {
    /// Upgrade. The client logs in by its first messages, if the route requires a login.
    Upgrade(Upgrade),
    /// Upgrade to a logged-in WebSocket if this attempt succeeds.
    Verify(Upgrade, Attempt),
    /// Publish the request body in this room if this attempt succeeds.
    Publish(RouteMatch, Attempt),
    /// Serve the page to a browser.
    Page,
    /// Send the description of the route.
    Describe(RouteDescription),
    /// Refuse the request.
    Refuse(Refusal),
}

/// An accepted handshake: the fields of its response, and the route.
#[derive(Debug, Clone)]
pub struct Upgrade {
    /// The route and the path of the connection.
    pub matched: RouteMatch,
    /// The value of `Sec-WebSocket-Accept`.
    pub accept: String,
    /// The negotiated subprotocol.
    pub subprotocol: Option<String>,
}

/// Decides on a request. The first check that fails decides. `budget` is the state of the client
/// address's failure budget.
pub fn decide(
    head: &Parts,
    policy: &HandshakePolicy,
    availability: Availability,
    budget: Result<(), BudgetExhausted>,
) -> Decision {
    check(head, policy, availability, budget).unwrap_or_else(Decision::Refuse)
}

fn check(
    head: &Parts,
    policy: &HandshakePolicy,
    availability: Availability,
    budget: Result<(), BudgetExhausted>,
) -> Result<Decision, Refusal> {
    // Normalised once, for routes, rooms and rights.
    let path = normalize_path(head.uri.path());
    let route = path
        .as_deref()
        .ok()
        .and_then(|path| policy.routes.find(path));
    // A published message needs an author, which only Basic credentials supply.
    let accepts_posts = policy.basic != BasicAuthMode::Off
        && route.is_some_and(|route| route.service.accepts_posts());
    let is_post = accepts_posts && head.method == Method::POST;
    // RFC 9112 sections 2.3, 3.2 and 3.3; RFC 6455 section 4.2.1, items 1 and 2.
    let host = check_form(head)?;
    // RFC 3986 section 6.2.2.
    let path = &*path.map_err(|_| Refusal::BadPath)?;
    // RFC 9110 section 9.3.1: content in a GET request has no defined semantics.
    if announces_body(&head.headers) && !is_post {
        return Err(Refusal::UnexpectedBody);
    }
    // RFC 9110 section 15.6.4.
    match availability {
        Availability::Open => {}
        Availability::Full => return Err(Refusal::Full),
        Availability::Draining => return Err(Refusal::Draining),
    }
    let wanted = representation(head, policy);
    // RFC 9110 sections 15.5.5 and 15.5.6; RFC 6455 section 4.2.1, item 1.
    let Some(route) = route else {
        let is_page = path == PAGE_PATH && wanted == Some(Representation::Page);
        return is_page
            .then_some(Decision::Page)
            .ok_or(Refusal::UnknownPath);
    };
    if !is_post && !is_read(head) {
        return Err(if accepts_posts {
            Refusal::MethodNotAllowedGetPost
        } else {
            Refusal::MethodNotAllowed
        });
    }
    match wanted {
        Some(Representation::Page) => return Ok(Decision::Page),
        Some(Representation::Description) => {
            // As for the handshake, so that a client learns of the delay before it connects.
            check_budget(budget)?;
            return Ok(Decision::Describe(RouteDescription::new(route, policy)));
        }
        None => {}
    }
    // RFC 6455 section 4.2.1, items 3 to 6.
    let key = if is_post {
        None
    } else {
        Some(check_upgrade(&head.headers)?)
    };
    // RFC 6455 sections 4.2.1 (item 7), 4.2.2 (item 4) and 10.2.
    if let Some(origin) = head.headers.get(ORIGIN) {
        let allowed = route.allowed_origins.as_ref();
        let allowed = allowed.unwrap_or(&policy.allowed_origins);
        find_origin(origin, &host, allowed)?;
    }
    let attempt = match policy.basic {
        BasicAuthMode::Off => None,
        BasicAuthMode::Optional | BasicAuthMode::Required => attempt(&head.headers),
    };
    // RFC 6585 section 4. A ticket cannot be guessed, so the budget does not stop it.
    if !matches!(attempt, Some(Attempt::Ticket(_))) {
        check_budget(budget)?;
    }
    let matched = RouteMatch {
        route: Arc::clone(route),
        path: route.pattern.to_arc(path),
    };
    // RFC 9110 sections 11.6.2 and 15.5.2; RFC 7617.
    let Some(key) = key else {
        let attempt = attempt.ok_or(Refusal::NoCredentials)?;
        return Ok(Decision::Publish(matched, attempt));
    };
    let is_required = policy.basic == BasicAuthMode::Required && route.access != Access::Public;
    if is_required && attempt.is_none() {
        return Err(Refusal::NoCredentials);
    }
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

/// A representation of a path (RFC 9110 section 3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Representation {
    /// The page for browsers.
    Page,
    /// The description of the route.
    Description,
}

/// Returns the representation that a request asks for by name. A browser's navigation names HTML, and
/// gets the page even if it names JSON too. Other clients without an upgrade get a 426.
fn representation(head: &Parts, policy: &HandshakePolicy) -> Option<Representation> {
    if !is_read(head) || offers_websocket(head) {
        return None;
    }
    let accepts = |media_type: &str| {
        let mut elements = tokens(&head.headers, &ACCEPT);
        elements.any(|element| is_accepted(element, media_type))
    };
    if policy.page && accepts("text/html") {
        Some(Representation::Page)
    } else if accepts("application/json") {
        Some(Representation::Description)
    } else {
        None
    }
}

/// Returns true for a GET, and for a HEAD, its form without a body (RFC 9110 section 9.3.2). A
/// handshake is a GET only.
fn is_read(head: &Parts) -> bool {
    head.method == Method::GET || head.method == Method::HEAD && !offers_websocket(head)
}

/// Returns true if the request offers to upgrade to a WebSocket. Other offers, such as `h2c`, are
/// ignored (RFC 9110 section 7.8).
fn offers_websocket(head: &Parts) -> bool {
    has_token(&head.headers, &UPGRADE, "websocket")
}

/// Returns true if an element of `Accept` names a media type with a weight above zero (RFC 9110
/// sections 12.4.2 and 12.5.1).
fn is_accepted(element: &str, media_type: &str) -> bool {
    let mut parts = element.split(';').map(str::trim);
    let is_named = parts
        .next()
        .is_some_and(|named| named.eq_ignore_ascii_case(media_type));
    let is_zero = |weight: &str| weight.trim_end_matches(['0', '.']).is_empty();
    is_named
        && !parts.any(|part| {
            let weight = part.strip_prefix("q=").or_else(|| part.strip_prefix("Q="));
            weight.is_some_and(is_zero)
        })
}

/// Checks the failure budget of the client address (RFC 6585 section 4).
pub(super) fn check_budget(budget: Result<(), BudgetExhausted>) -> Result<(), Refusal> {
    budget.map_err(|BudgetExhausted { retry_after }| Refusal::TooManyFailures { retry_after })
}

/// Returns the login attempt of a request's `Authorization` field. Invalid or repeated fields are a
/// malformed attempt.
pub(super) fn attempt(headers: &HeaderMap) -> Option<Attempt> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    match (values.next(), values.next()) {
        (None, _) => None,
        (Some(value), None) => Some(parse_authorization(value.as_bytes()).into()),
        (Some(_), Some(_)) => Some(Attempt::Malformed),
    }
}

/// Checks the form of the request, and returns its host (RFC 9112 sections 2.3, 3.2; RFC 6455
/// section 4.2.1, items 1 and 2).
pub(super) fn check_form(head: &Parts) -> Result<Authority, Refusal> {
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

/// Returns true if the request has a body (RFC 9112 section 6.3).
pub(super) fn announces_body(headers: &HeaderMap) -> bool {
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    headers.contains_key(TRANSFER_ENCODING) || lengths.any(|length| length != "0")
}

/// Returns the value of a field that may occur at most once (RFC 9110 section 5.3, RFC 6455
/// sections 11.3.1 and 11.3.5).
fn single<'h>(
    headers: &'h HeaderMap,
    name: &HeaderName,
) -> Result<Option<&'h HeaderValue>, Refusal> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    if values.next().is_some() {
        Err(Refusal::DuplicateField)
    } else {
        Ok(first)
    }
}

/// Checks the request target: origin form, or absolute form with the same host as `Host` (RFC 9112
/// sections 3.2.1, 3.2.2). Authority and asterisk forms are refused (sections 3.2.3, 3.2.4).
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

/// Checks the upgrade fields, and returns the key (RFC 6455 section 4.2.1, items 3 to 6; RFC 9110
/// section 7.8).
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

/// Parses the value of `Origin`, and returns it if it is that of the host or allowed (RFC 6454, RFC 6455
/// section 10.2).
pub(super) fn find_origin<'a>(
    origin: &HeaderValue,
    host: &Authority,
    allowed: impl IntoIterator<Item = &'a AllowedOrigin>,
) -> Result<AllowedOrigin, Refusal> {
    let origin = origin.to_str().map_err(|_| Refusal::OriginNotAllowed)?;
    let origin = match origin {
        "null" => AllowedOrigin::Null,
        FILE_ORIGIN => AllowedOrigin::File,
        origin => {
            let origin = Origin::parse(origin).map_err(|_| Refusal::OriginNotAllowed)?;
            AllowedOrigin::Of(origin)
        }
    };
    let is_own = matches!(&origin, AllowedOrigin::Of(origin) if origin.is_of_host(host));
    if is_own || allowed.into_iter().any(|allowed| *allowed == origin) {
        Ok(origin)
    } else {
        Err(Refusal::OriginNotAllowed)
    }
}

/// Returns the first supported subprotocol that the client offers (RFC 6455 section 4.2.2, item 5).
fn subprotocol(headers: &HeaderMap, ours: &[String]) -> Option<String> {
    let mut ours = ours.iter();
    let offered = |name: &str| tokens(headers, &SEC_WEBSOCKET_PROTOCOL).any(|token| token == name);
    ours.find(|name| offered(name)).cloned()
}

/// Returns true if a list field contains a token, in any case.
fn has_token(headers: &HeaderMap, name: &HeaderName, wanted: &str) -> bool {
    tokens(headers, name).any(|token| token.eq_ignore_ascii_case(wanted))
}

/// Returns the elements of a list field, over all its field lines (RFC 9110 sections 5.3, 5.6.1).
fn tokens<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'h str> {
    let values = headers.get_all(name).into_iter();
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|list| list.split(','))
        .map(str::trim)
}
