//! The property of the server's handshake decision.

use std::{net::Ipv6Addr, sync::LazyLock, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, Version, request::Parts};
use proto::login::Attempt;
use raw_peer::HANDSHAKE;
use ws_server::{
    access::{AllowedOrigin, Origin},
    admission::{Availability, BudgetExhausted},
    handshake::{BasicAuthMode, Decision, HandshakePolicy, Refusal, RouteLogin, Upgrade, decide},
    route::Routes,
};

use super::field::{Field, accept, field, lists, values};
use crate::attacks::requests;

/// The greatest number of header fields.
const MAX_FIELDS: usize = 100;

/// A ticket with a MAC of zeros.
const TICKET: &str =
    "wst1.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAamFuZQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// The supported subprotocols.
const SUBPROTOCOLS: [&str; 2] = ["chat.v2", "chat"];

/// A policy that allows more than the default.
static LISTED: LazyLock<HandshakePolicy> = LazyLock::new(|| {
    let origin = Origin::parse("https://page.example.org").expect("the origin is valid");
    HandshakePolicy {
        allowed_origins: vec![AllowedOrigin::Of(origin)],
        subprotocols: SUBPROTOCOLS.map(str::to_owned).to_vec(),
        basic: BasicAuthMode::Optional,
        routes: Routes::echo(""),
        page: true,
    }
});

/// A request, read from its bytes.
#[derive(Debug)]
struct RawRequest {
    method: String,
    target: String,
    minor_version: u8,
    fields: Vec<Field>,
}

/// A lower-case host, and its port if there is one.
type Host = (String, Option<u16>);

/// Checks the decision on a request. The first violated rule decides the refusal, whether or not
/// there is a free slot. A request without violations is upgraded with the right accept value. A
/// refusal's text is one line.
///
/// # Panics
///
/// If the property does not hold.
pub fn check(data: &[u8]) {
    let Some((raw, parts)) = parse(data) else {
        return;
    };
    let expected = expected_status(&raw);
    match (
        decide(&parts, &LISTED, Availability::Open, Ok(())),
        expected,
    ) {
        (Decision::Upgrade(upgrade), Ok(())) => {
            assert!(authorizations(&raw).is_empty(), "{raw:?}");
            assert_upgrade(&raw, &upgrade);
        }
        (Decision::Verify(upgrade, attempt), Ok(())) => {
            assert_credentials(&raw, &attempt);
            assert_upgrade(&raw, &upgrade);
        }
        (Decision::Page, Err(426)) => assert!(asks_for(&raw, "text/html"), "{raw:?}"),
        (Decision::Describe(description), Err(426)) => {
            assert!(!asks_for(&raw, "text/html"), "{raw:?}");
            assert!(asks_for(&raw, "application/json"), "{raw:?}");
            assert_eq!(description.login, RouteLogin::Message);
            assert_eq!(description.subprotocols, SUBPROTOCOLS);
        }
        (Decision::Refuse(refusal), Err(status)) => {
            let is_answered = ["text/html", "application/json"].map(|kind| asks_for(&raw, kind));
            assert!(status != 426 || is_answered == [false; 2], "{raw:?}");
            assert_refusal(&raw, refusal, status);
        }
        (decision, expected) => panic!("{decision:?} instead of {expected:?}: {raw:?}"),
    }
    for availability in [Availability::Full, Availability::Draining] {
        let refusal = refusal(&decide(&parts, &LISTED, availability, Ok(())), &raw);
        assert_refusal(&raw, refusal, check_form(&raw).err().unwrap_or(503));
    }
    let exhausted = Err(BudgetExhausted {
        retry_after: Duration::from_secs(1),
    });
    let decision = decide(&parts, &LISTED, Availability::Open, exhausted);
    // The budget of failed logins does not stop a ticket: it cannot be guessed.
    let is_ticket = matches!(decision, Decision::Verify(_, Attempt::Ticket(_)));
    if is_ticket {
        assert_eq!(expected, Ok(()), "{raw:?}");
    } else if !matches!(decision, Decision::Page) {
        let refusal = refusal(&decision, &raw);
        let status = match expected {
            // The description comes after the check of the budget.
            Err(426) if asks_for(&raw, "application/json") => 429,
            Err(status) => status,
            Ok(()) => 429,
        };
        assert_refusal(&raw, refusal, status);
    }
    // The default policy allows no more than this one.
    if let Decision::Upgrade(upgrade) = decide(
        &parts,
        &HandshakePolicy::default(),
        Availability::Open,
        Ok(()),
    ) {
        assert_eq!(expected, Ok(()), "{raw:?}");
        assert_eq!(upgrade.subprotocol, None, "{raw:?}");
    }
}

fn refusal(decision: &Decision, raw: &RawRequest) -> Refusal {
    match decision {
        Decision::Refuse(refusal) => *refusal,
        Decision::Upgrade(_)
        | Decision::Verify(..)
        | Decision::Publish(..)
        | Decision::Page
        | Decision::Describe(_) => panic!("not refused: {raw:?}"),
    }
}

/// Returns true if the request asks for this media type: there is no `Upgrade: websocket`, and
/// `Accept` contains it with a weight above zero.
fn asks_for(raw: &RawRequest, media_type: &str) -> bool {
    let accepted = values(&raw.fields, "accept");
    let mut elements = accepted
        .iter()
        .filter(|list| list.is_ascii())
        .flat_map(|list| list.split(|byte| *byte == b','))
        .map(|element| String::from_utf8_lossy(element).to_ascii_lowercase());
    !lists_text(raw, "upgrade", "websocket")
        && elements.any(|element| {
            let parts: Vec<&str> = element.split(';').map(str::trim).collect();
            let is_zero = |part: &&str| {
                part.strip_prefix("q=")
                    .is_some_and(|weight| weight.bytes().all(|byte| matches!(byte, b'0' | b'.')))
            };
            parts[0] == media_type && !parts.iter().any(is_zero)
        })
}

fn authorizations(raw: &RawRequest) -> Vec<&[u8]> {
    values(&raw.fields, "authorization")
}

/// Asserts that the credentials are those of the only `Authorization` field.
fn assert_credentials(raw: &RawRequest, attempt: &Attempt) {
    let found = authorizations(raw);
    match attempt {
        Attempt::Credentials(credentials) => {
            let [value] = found.as_slice() else {
                panic!("more than one Authorization field: {raw:?}");
            };
            let line = credentials.line();
            let written = STANDARD.encode(line.expose());
            let value = String::from_utf8_lossy(value);
            assert_eq!(value[..6].to_ascii_lowercase(), "basic ", "{raw:?}");
            assert_eq!(value[6..].trim_ascii(), written, "{raw:?}");
        }
        Attempt::Ticket(ticket) => {
            let [value] = found.as_slice() else {
                panic!("more than one Authorization field: {raw:?}");
            };
            let value = String::from_utf8_lossy(value);
            let (scheme, token) = value.split_once(' ').expect("a field has a scheme");
            let written = ticket.text();
            let written = written.expose();
            match scheme.to_ascii_lowercase().as_str() {
                "basic" => {
                    let written = STANDARD.encode(format!(":{written}"));
                    assert_eq!(token.trim_ascii(), written, "{raw:?}");
                }
                "bearer" => assert_eq!(token.trim_ascii(), written, "{raw:?}"),
                other => panic!("{other}: {raw:?}"),
            }
        }
        Attempt::Malformed => assert!(!found.is_empty(), "{raw:?}"),
    }
}

/// Returns valid and invalid requests.
pub fn seeds() -> Vec<(String, Vec<u8>)> {
    let mut seeds = vec![
        ("good".to_owned(), HANDSHAKE.into()),
        ("browser_handshake".to_owned(), browser_handshake()),
        (
            "with_credentials".to_owned(),
            with("Basic YWRtaW46MTIzNDU2"),
        ),
        ("with_a_token".to_owned(), with("Bearer YWRtaW46MTIzNDU2")),
        (
            "with_a_ticket".to_owned(),
            with(&format!("Bearer {TICKET}")),
        ),
        (
            "with_a_ticket_in_basic".to_owned(),
            with(&format!("Basic {}", STANDARD.encode(format!(":{TICKET}")))),
        ),
        (
            "page_request".to_owned(),
            read("GET", "text/html, */*; q=0.8"),
        ),
        ("head_request".to_owned(), read("HEAD", "text/html")),
        (
            "description_request".to_owned(),
            read("GET", "application/json"),
        ),
        (
            "absolute_uri".to_owned(),
            HANDSHAKE
                .replace("GET / ", "GET http://localhost:80/?a=b ")
                .into(),
        ),
    ];
    let bad = requests::ALL.iter();
    seeds.extend(bad.map(|bad| (bad.name.to_owned(), (bad.bytes)())));
    seeds
}

fn with(authorization: &str) -> Vec<u8> {
    HANDSHAKE
        .replace(
            "\r\n\r\n",
            &format!("\r\nAuthorization: {authorization}\r\n\r\n"),
        )
        .into()
}

fn browser_handshake() -> Vec<u8> {
    let more = "Origin: https://page.example.org\r\n\
                Sec-WebSocket-Protocol: chat, chat.v2\r\n\
                Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\
                Content-Length: 0\r\n\r\n";
    HANDSHAKE
        .replace("localhost", "[::1]:5678")
        .replace(": Upgrade\r\n", ": keep-alive, Upgrade\r\n")
        .replace("\r\n\r\n", &format!("\r\n{more}"))
        .into()
}

fn read(method: &str, accept: &str) -> Vec<u8> {
    format!("{method} / HTTP/1.1\r\nHost: localhost\r\nAccept: {accept}\r\n\r\n").into()
}

/// Parses a request by the HTTP library and by hand. Returns `None` if the library rejects it.
fn parse(data: &[u8]) -> Option<(RawRequest, Parts)> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut request = httparse::Request::new(&mut headers);
    if !request.parse(data).ok()?.is_complete() {
        return None;
    }
    let (method, target, minor_version) = (request.method?, request.path?, request.version?);
    let (mut parts, ()) = Request::new(()).into_parts();
    parts.method = Method::from_bytes(method.as_bytes()).ok()?;
    parts.uri = target.parse::<Uri>().ok()?;
    parts.version = match minor_version {
        1 => Version::HTTP_11,
        _ => Version::HTTP_10,
    };
    parts.headers = HeaderMap::new();
    for header in request.headers.iter() {
        let name = HeaderName::from_bytes(header.name.as_bytes()).ok()?;
        let value = HeaderValue::from_bytes(header.value).ok()?;
        parts.headers.append(name, value);
    }
    let raw = RawRequest {
        method: method.to_owned(),
        target: target.to_owned(),
        minor_version,
        fields: request
            .headers
            .iter()
            .map(|header| field(header.name, header.value))
            .collect(),
    };
    Some((raw, parts))
}

/// Returns the expected decision while there is a free slot: an upgrade, or the status of a
/// refusal.
fn expected_status(raw: &RawRequest) -> Result<(), u16> {
    check_rest(raw, &check_form(raw)?)
}

/// Checks the form of a request, and returns its host.
fn check_form(raw: &RawRequest) -> Result<Host, u16> {
    let host = single(raw, "host")?
        .and_then(host_and_port)
        .ok_or(400_u16)?;
    for name in ["sec-websocket-key", "sec-websocket-version", "origin"] {
        let repeated = values(&raw.fields, name).len() > 1;
        ensure(!repeated, 400)?;
    }
    ensure(raw.minor_version == 1, 400)?;
    ensure(path(&raw.target, &host).is_some_and(has_normal_form), 400)?;
    let has_chunks = !values(&raw.fields, "transfer-encoding").is_empty();
    let lengths = values(&raw.fields, "content-length");
    let has_body = has_chunks || lengths.iter().any(|length| *length != b"0");
    ensure(!has_body, 400)?;
    Ok(host)
}

/// Checks everything else, in order.
fn check_rest(raw: &RawRequest, host: &Host) -> Result<(), u16> {
    ensure(path(&raw.target, host) == Some("/"), 404)?;
    let offers_websocket = lists_text(raw, "upgrade", "websocket");
    let is_head = raw.method == "HEAD" && !offers_websocket;
    ensure(raw.method == "GET" || is_head, 405)?;
    ensure(offers_websocket, 426)?;
    ensure(lists_text(raw, "connection", "upgrade"), 426)?;
    let version = values(&raw.fields, "sec-websocket-version");
    ensure(version == [b"13"], 426)?;
    let key = single(raw, "sec-websocket-key")?.unwrap_or_default();
    ensure(is_key(key), 400)?;
    let origin = values(&raw.fields, "origin");
    let is_allowed = |origin: &&[u8]| {
        std::str::from_utf8(origin).is_ok_and(|origin| is_allowed_origin(origin, host))
    };
    ensure(origin.iter().all(is_allowed), 403)
}

/// Returns true if no other software can take the path for another one: each segment, when it is
/// decoded, is a name.
fn has_normal_form(path: &str) -> bool {
    let mut segments: Vec<&str> = path[1..].split('/').collect();
    if segments.last() == Some(&"") {
        segments.pop();
    }
    segments.into_iter().all(|segment| {
        let mut name = Vec::new();
        let mut rest = segment.as_bytes();
        while let Some((byte, after)) = rest.split_first() {
            rest = after;
            if *byte != b'%' {
                name.push(*byte);
                continue;
            }
            let Some((digits, after)) = rest.split_at_checked(2) else {
                return false;
            };
            let digits = std::str::from_utf8(digits).unwrap_or_default();
            match u8::from_str_radix(digits, 16) {
                Ok(decoded) if !digits.starts_with('+') && !b"/\\\0".contains(&decoded) => {
                    name.push(decoded);
                }
                _ => return false,
            }
            rest = after;
        }
        let is_raw = segment
            .bytes()
            .all(|byte| byte != b'\\' && !byte.is_ascii_control());
        is_raw && !matches!(name.as_slice(), b"" | b"." | b"..")
    })
}

fn ensure(is_right: bool, status: u16) -> Result<(), u16> {
    if is_right { Ok(()) } else { Err(status) }
}

/// Returns the value of a field that may occur once, and must be text.
fn single<'r>(raw: &'r RawRequest, name: &str) -> Result<Option<&'r str>, u16> {
    match values(&raw.fields, name).as_slice() {
        [] => Ok(None),
        [value] => std::str::from_utf8(value).map(Some).map_err(|_| 400),
        _ => Err(400),
    }
}

/// Returns whether a list of this name contains this token. Ignores values that are not ASCII.
fn lists_text(raw: &RawRequest, name: &str, token: &str) -> bool {
    let mut texts = raw.fields.clone();
    texts.retain(|(_, value)| value.is_ascii());
    lists(&texts, name, token)
}

fn assert_upgrade(raw: &RawRequest, upgrade: &Upgrade) {
    let key = values(&raw.fields, "sec-websocket-key");
    assert_eq!(upgrade.accept, accept(key[0]), "{raw:?}");
    let offered = |name: &&str| {
        let lists = values(&raw.fields, "sec-websocket-protocol");
        let mut names = lists
            .iter()
            .filter_map(|list| std::str::from_utf8(list).ok())
            .filter(|list| list.is_ascii())
            .flat_map(|list| list.split(','));
        names.any(|offered| offered.trim() == *name)
    };
    // The server's preference decides.
    let best = SUBPROTOCOLS.into_iter().find(|name| offered(name));
    assert_eq!(upgrade.subprotocol.as_deref(), best, "{raw:?}");
}

/// Asserts the status and the form of a refusal. Its text does not depend on the request.
fn assert_refusal(raw: &RawRequest, refusal: Refusal, status: u16) {
    let text = refusal.text();
    assert_eq!(refusal.status().as_u16(), status, "{text}: {raw:?}");
    let is_printed = |byte| matches!(byte, b' '..=b'~');
    assert!(text.bytes().all(is_printed), "{text}");
}

/// Parses a host and an optional port (RFC 3986 section 3.2).
fn host_and_port(text: &str) -> Option<Host> {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port),
        Some(_) | None => (text, ""),
    };
    let is_host = if let Some(literal) = host.strip_prefix('[') {
        literal.strip_suffix(']')?.parse::<Ipv6Addr>().is_ok()
    } else {
        let is_of_name =
            |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(&byte);
        !host.is_empty() && host.bytes().all(is_of_name)
    };
    let port = match port {
        "" => None,
        port if port.bytes().all(|byte| byte.is_ascii_digit()) => Some(port.parse().ok()?),
        _ => return None,
    };
    is_host.then(|| (host.to_ascii_lowercase(), port))
}

/// Returns the path of a target that is a path or a URI of this host. The HTTP library drops a
/// fragment.
fn path<'t>(target: &'t str, host: &Host) -> Option<&'t str> {
    let end = target.find(['?', '#']).unwrap_or(target.len());
    let target = &target[..end];
    if target.starts_with('/') {
        return Some(target);
    }
    let (scheme, rest) = target.split_once("://")?;
    let default = match scheme.to_ascii_lowercase().as_str() {
        "http" => 80,
        "https" => 443,
        _ => return None,
    };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let found = host_and_port(authority)?;
    let is_same = found.0 == host.0 && found.1.unwrap_or(default) == host.1.unwrap_or(default);
    is_same.then_some(if path.is_empty() { "/" } else { path })
}

/// Returns whether a text is the base64 form of 16 bytes: 22 digits, the last with its 4 low bits
/// clear, and two padding characters.
fn is_key(text: &str) -> bool {
    let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    match text.as_bytes() {
        [digits @ .., b'A' | b'Q' | b'g' | b'w', b'=', b'='] => {
            digits.len() == 21 && digits.iter().all(is_digit)
        }
        _ => false,
    }
}

/// Returns whether an origin is that of the host, or the allowed one.
fn is_allowed_origin(origin: &str, host: &Host) -> bool {
    let lower = origin.to_ascii_lowercase();
    let (authority, default, is_https) = match lower.split_once("://") {
        Some(("http", authority)) => (authority, 80, false),
        Some(("https", authority)) => (authority, 443, true),
        _ => return false,
    };
    let Some((name, port)) = host_and_port(authority) else {
        return false;
    };
    // The port of an origin is not empty (RFC 6454 section 6.2).
    if authority.ends_with(':') {
        return false;
    }
    let port = port.unwrap_or(default);
    let is_ours = name == host.0 && port == host.1.unwrap_or(default);
    is_ours || (is_https && name == "page.example.org" && port == 443)
}
