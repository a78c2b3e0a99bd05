//! The request to the upstream of a relay. No field of the client can be taken for one of the relay.
//!
//! Many programs read fields as variables, where `X_Forwarded_User` and `X-Forwarded-User` are one. So
//! names are compared with `_` as `-`, and a name with any other character than letters, digits and
//! `-` is not passed on.

use std::{fmt::Write as _, net::IpAddr};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Request,
    header::{
        CONNECTION, FORWARDED, HOST, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
        SEC_WEBSOCKET_VERSION, UPGRADE,
    },
};
use http_body_util::Empty;
use proto::key::Key;

use crate::{
    service::{
        ConnectRequest,
        relay::{FieldValueSource, ForwardedField, Relay, fields::is_of_relay},
    },
    session::RequestHead,
};

/// Returns the request for a client's session.
pub(super) fn upstream_request(
    relay: &Relay,
    request: &ConnectRequest<'_>,
    key: &Key,
) -> Request<Empty<Bytes>> {
    let mut target = relay.to.path(request.rest);
    if let Some(query) = request.head.query() {
        target.push('?');
        for byte in query {
            // A query that the HTTP library has accepted may contain raw UTF-8.
            if byte.is_ascii_graphic() {
                target.push((*byte).into());
            } else {
                let _ = write!(target, "%{byte:02X}");
            }
        }
    }
    let mut upstream = Request::new(Empty::new());
    *upstream.uri_mut() = target
        .parse()
        .expect("a path in normal form and visible characters are a target");
    let fields = upstream.headers_mut();
    add_fields_of_client(fields, relay, request.head);
    add_fields_of_relay(fields, relay, request);
    for (key, source) in &relay.headers {
        let name = key.name();
        let value = match source {
            FieldValueSource::Text(text) => HeaderValue::from_str(text).ok(),
            FieldValueSource::File(_) => relay.files.secrets.get(&name).cloned(),
        };
        if let Some(value) = value {
            fields.insert(name, value);
        }
    }
    add_handshake(fields, relay, request, key);
    upstream
}

/// Adds the fields of the client that may be passed on.
fn add_fields_of_client(fields: &mut HeaderMap, relay: &Relay, head: &RequestHead) {
    let nominated: Vec<_> = head
        .list("connection")
        .map(str::to_ascii_lowercase)
        .collect();
    let identity = relay.identity_header.0.as_str();
    let is_configured = |name: &str| {
        let mut configured = relay.headers.keys();
        configured.any(|key| key.name().as_str().replace('_', "-") == name)
    };
    let forwards_cookie = relay.forward.contains(&ForwardedField::Cookie);
    for (name, value) in head.fields() {
        let is_plain = name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        let is_passed = is_plain
            && (!is_of_relay(name) || name == "cookie" && forwards_cookie)
            && name != identity
            && !nominated.iter().any(|nominated| nominated == name)
            && !is_configured(name);
        if is_passed
            && let (Ok(name), Ok(value)) =
                (name.parse::<HeaderName>(), HeaderValue::from_bytes(value))
        {
            fields.append(name, value);
        }
    }
}

/// Adds the fields about the client and the user.
fn add_fields_of_relay(fields: &mut HeaderMap, relay: &Relay, request: &ConnectRequest<'_>) {
    let connection = request.head.connection();
    let client = connection.client().ip().to_canonical();
    let scheme = connection.scheme().name();
    let host = request.head.values("host").next();
    let host = host.and_then(|host| HeaderValue::from_bytes(host).ok());
    fields.insert("x-forwarded-for", ascii(&client.to_string()));
    fields.insert("x-forwarded-proto", HeaderValue::from_static(scheme));
    if relay.forwarded {
        let mut forwarded = match client {
            IpAddr::V4(ip) => format!("for={ip}"),
            IpAddr::V6(ip) => format!("for=\"[{ip}]\""),
        };
        // A valid `Host` contains no quote.
        if let Some(host) = host.as_ref().and_then(|host| host.to_str().ok()) {
            let _ = write!(forwarded, ";host=\"{host}\"");
        }
        let _ = write!(forwarded, ";proto={scheme}");
        fields.insert(FORWARDED, ascii(&forwarded));
    }
    if let Some(host) = host {
        fields.insert("x-forwarded-host", host);
    }
    if let Some(user) = request.principal.user() {
        let value = format!(
            "{}{}",
            relay.identity_prefix,
            percent_encoded(user.as_str())
        );
        fields.insert(relay.identity_header.0.clone(), ascii(&value));
    }
}

/// Adds the fields of the opening handshake (RFC 6455 section 4.1).
fn add_handshake(fields: &mut HeaderMap, relay: &Relay, request: &ConnectRequest<'_>, key: &Key) {
    if !fields.contains_key(HOST) {
        fields.insert(HOST, ascii(&relay.to.host));
    }
    fields.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    fields.insert(UPGRADE, HeaderValue::from_static("websocket"));
    fields.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    fields.insert(SEC_WEBSOCKET_KEY, ascii(key.as_str()));
    if !request.subprotocols.is_empty() {
        let offer = request.subprotocols.join(", ");
        fields.insert(SEC_WEBSOCKET_PROTOCOL, ascii(&offer));
    }
}

/// Returns a name as percent-encoded UTF-8. Letters, digits, `-._~` and `@` are not encoded: any other
/// character could end the name for a program that reads a list.
fn percent_encoded(name: &str) -> String {
    let mut encoded = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~@".contains(&byte) {
            encoded.push(byte.into());
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

fn ascii(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("the text has visible characters of ASCII only")
}

#[cfg(test)]
#[path = "../tests/relay_request.rs"]
mod tests;
