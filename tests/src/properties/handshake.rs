//! What a request gets.

use std::{net::Ipv6Addr, sync::LazyLock};

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, Version, request::Parts};
use raw_peer::HANDSHAKE;
use ws_server::handshake::{
    AllowedOrigin, Decision, Origin, Refusal, Rules, Standing, Upgrade, decide,
};

use super::field::{Field, accept, field, lists, values};
use crate::attacks::requests;

/// The greatest number of fields in a head.
const MAX_FIELDS: usize = 100;

/// The subprotocols that are spoken here.
const SUBPROTOCOLS: [&str; 2] = ["chat.v2", "chat"];

/// Rules that let in what the default ones do, and more.
static LISTED: LazyLock<Rules> = LazyLock::new(|| {
    let origin = Origin::parse("https://page.example.org").expect("it is an origin");
    Rules {
        allowed_origins: vec![AllowedOrigin::Of(origin)],
        subprotocols: SUBPROTOCOLS.map(str::to_owned).to_vec(),
    }
});

/// A request as it stands in its bytes.
#[derive(Debug)]
struct Raw {
    method: String,
    target: String,
    minor_version: u8,
    fields: Vec<Field>,
}

/// Whatever the request is, there is a decision. Who is upgraded has asked for it as RFC 6455 section
/// 4.2.1 demands, comes from a page that may connect, and gets the right answer; nobody is upgraded
/// while there is no place. A refusal says what is wrong in one line of our own.
///
/// # Panics
///
/// If that does not hold.
pub fn check(data: &[u8]) {
    let Some((raw, head)) = parse(data) else {
        return;
    };
    let decision = decide(&head, &LISTED, Standing::Open);
    match &decision {
        Decision::Upgrade(upgrade) => assert_may_upgrade(&raw, upgrade),
        Decision::Refuse(refusal) => assert_is_told(*refusal),
    }
    for standing in [Standing::Full, Standing::Draining] {
        match decide(&head, &LISTED, standing) {
            Decision::Upgrade(_) => panic!("upgraded while {standing:?}: {raw:?}"),
            Decision::Refuse(refusal) => assert_is_told(refusal),
        }
    }
    // Fewer rules let nobody in.
    if let Decision::Upgrade(upgrade) = decide(&head, &Rules::default(), Standing::Open) {
        assert!(matches!(decision, Decision::Upgrade(_)), "{raw:?}");
        assert_eq!(upgrade.subprotocol, None, "{raw:?}");
    }
}

/// A good request and all bad ones.
pub fn seeds() -> Vec<(String, Vec<u8>)> {
    let mut seeds = vec![
        ("good".to_owned(), HANDSHAKE.into()),
        ("of_a_browser".to_owned(), of_a_browser()),
        (
            "of_an_absolute_uri".to_owned(),
            HANDSHAKE
                .replace("GET / ", "GET http://localhost:80/?a=b ")
                .into(),
        ),
    ];
    let bad = requests::ALL.iter();
    seeds.extend(bad.map(|bad| (bad.name.to_owned(), (bad.bytes)())));
    seeds
}

fn of_a_browser() -> Vec<u8> {
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

/// Reads a request as the HTTP library does, and as it stands there; none if that library refuses
/// it by itself.
fn parse(data: &[u8]) -> Option<(Raw, Parts)> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut request = httparse::Request::new(&mut headers);
    if !request.parse(data).ok()?.is_complete() {
        return None;
    }
    let (method, target, minor_version) = (request.method?, request.path?, request.version?);
    let (mut head, ()) = Request::new(()).into_parts();
    head.method = Method::from_bytes(method.as_bytes()).ok()?;
    head.uri = target.parse::<Uri>().ok()?;
    head.version = match minor_version {
        1 => Version::HTTP_11,
        _ => Version::HTTP_10,
    };
    head.headers = HeaderMap::new();
    for header in request.headers.iter() {
        let name = HeaderName::from_bytes(header.name.as_bytes()).ok()?;
        let value = HeaderValue::from_bytes(header.value).ok()?;
        head.headers.append(name, value);
    }
    let raw = Raw {
        method: method.to_owned(),
        target: target.to_owned(),
        minor_version,
        fields: request
            .headers
            .iter()
            .map(|header| field(header.name, header.value))
            .collect(),
    };
    Some((raw, head))
}

fn assert_may_upgrade(raw: &Raw, upgrade: &Upgrade) {
    assert_eq!(raw.method, "GET", "{raw:?}");
    assert_eq!(raw.minor_version, 1, "{raw:?}");
    let single = |name: &str| match values(&raw.fields, name).as_slice() {
        [] => None,
        [value] => {
            let text = std::str::from_utf8(value);
            Some(text.unwrap_or_else(|_| panic!("{name} is no text: {raw:?}")))
        }
        _ => panic!("{name} is there twice: {raw:?}"),
    };
    let host = single("host").and_then(host_and_port);
    let Some(host) = host else {
        panic!("no host: {raw:?}")
    };
    assert!(is_of_root(&raw.target, &host), "{raw:?}");
    assert!(lists(&raw.fields, "upgrade", "websocket"), "{raw:?}");
    assert!(lists(&raw.fields, "connection", "upgrade"), "{raw:?}");
    assert_eq!(single("sec-websocket-version"), Some("13"), "{raw:?}");
    let key = single("sec-websocket-key").unwrap_or_default();
    assert!(is_key(key), "{raw:?}");
    assert_eq!(upgrade.accept, accept(key.as_bytes()), "{raw:?}");
    if let Some(origin) = single("origin") {
        assert!(may_connect(origin, &host), "{raw:?}");
    }
    assert!(
        values(&raw.fields, "transfer-encoding").is_empty(),
        "{raw:?}"
    );
    let lengths = values(&raw.fields, "content-length");
    assert!(lengths.iter().all(|length| *length == b"0"), "{raw:?}");
    if let Some(chosen) = &upgrade.subprotocol {
        assert!(SUBPROTOCOLS.contains(&chosen.as_str()), "{raw:?}");
        assert!(
            lists(&raw.fields, "sec-websocket-protocol", chosen),
            "{raw:?}"
        );
    }
}

/// A refusal's text is the same for every request, because it is ours; what is left to assert is
/// that it is one line, and that the status is one that a handshake may get.
fn assert_is_told(refusal: Refusal) {
    let text = refusal.text();
    assert!(
        text.bytes().all(|byte| matches!(byte, b' '..=b'~')),
        "{text}"
    );
    let status = refusal.status().as_u16();
    assert!(
        matches!(status, 400 | 403 | 404 | 405 | 426 | 503),
        "{status}"
    );
}

/// A host in lower case, and its port if there is one (RFC 3986 section 3.2).
fn host_and_port(text: &str) -> Option<(String, Option<u16>)> {
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

/// Whether a target is the root, as a path or as a URI of this very host. A fragment, which has no
/// place in a target, is taken no notice of: the HTTP library drops it.
fn is_of_root(target: &str, host: &(String, Option<u16>)) -> bool {
    let lower = target.to_ascii_lowercase();
    let end = lower.find(['?', '#']).unwrap_or(lower.len());
    let (uri, default) = match &lower[..end] {
        "/" => return true,
        uri if uri.starts_with("https://") => (&uri[8..], 443),
        uri if uri.starts_with("http://") => (&uri[7..], 80),
        _ => return false,
    };
    let authority = uri.strip_suffix('/').unwrap_or(uri);
    host_and_port(authority).is_some_and(|found| {
        found.0 == host.0 && found.1.unwrap_or(default) == host.1.unwrap_or(default)
    })
}

/// Whether a text is base64 of 16 bytes: 22 digits, the last with its 4 low bits clear, and padding.
fn is_key(text: &str) -> bool {
    let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    match text.as_bytes() {
        [digits @ .., b'A' | b'Q' | b'g' | b'w', b'=', b'='] => {
            digits.len() == 21 && digits.iter().all(is_digit)
        }
        _ => false,
    }
}

/// Whether an origin is our own host's, or the one that is listed.
fn may_connect(origin: &str, host: &(String, Option<u16>)) -> bool {
    let lower = origin.to_ascii_lowercase();
    let (authority, default, is_https) = match lower.split_once("://") {
        Some(("http", authority)) => (authority, 80, false),
        Some(("https", authority)) => (authority, 443, true),
        _ => return false,
    };
    let Some((name, port)) = host_and_port(authority) else {
        return false;
    };
    let port = port.unwrap_or(default);
    let is_ours = name == host.0 && port == host.1.unwrap_or(default);
    is_ours || (is_https && name == "page.example.org" && port == 443)
}
