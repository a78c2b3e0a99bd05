//! The fields of the request to an upstream, and attempts to forge them.

use std::{collections::BTreeMap, sync::Arc};

use proto::{credentials::Accounts, key::Key, message::Credentials, password::HashMemory};

use super::upstream_request;
use crate::{
    service::{ConnectRequest, Programs, Relay},
    session::{ConnectionId, Limits, Principal, RequestHead},
};

/// Returns a relay with these further keys.
fn relay(keys: &str) -> Relay {
    toml::from_str(&format!("to = \"ws://backend:9000/base\"\n{keys}")).unwrap()
}

/// Returns a user of this name.
fn user(name: &str) -> Principal {
    let source = format!("[[user]]\nname = \"{name}\"\npassword = \"1\"");
    let accounts = Accounts::from_toml(&source).unwrap();
    let credentials = Credentials::parse(&format!("{name}:1")).unwrap();
    let now = std::time::UNIX_EPOCH;
    let identity = accounts.verify(&credentials, now, &mut HashMemory::default());
    Principal::User(identity.unwrap())
}

fn guest() -> Principal {
    Principal::Guest(ConnectionId::from(7))
}

/// Returns the target and the fields of the request to the upstream, by name in lower case.
fn sent(
    relay: &Relay,
    principal: &Principal,
    head: &RequestHead,
    subprotocols: &[&str],
) -> (String, BTreeMap<String, Vec<String>>) {
    let subprotocols: Vec<_> = subprotocols.iter().map(ToString::to_string).collect();
    let request = ConnectRequest {
        connection: ConnectionId::from(7),
        principal,
        login: None,
        head,
        path: "/app/x/y",
        rest: "x/y",
        subprotocols: &subprotocols,
        max_message_bytes: 1024,
        route: "/**",
        programs: &Arc::new(Programs::default()),
        limits: &Arc::new(Limits::default()),
    };
    let key = Key::parse("dGhlIHNhbXBsZSBub25jZQ==").unwrap();
    let request = upstream_request(relay, &request, &key);
    let mut fields: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in request.headers() {
        let values = fields.entry(name.to_string()).or_default();
        values.push(value.to_str().unwrap().to_owned());
    }
    (request.uri().to_string(), fields)
}

/// The fields that a request has without any of the client's.
const OF_RELAY: [(&str, &str); 9] = [
    ("connection", "Upgrade"),
    ("host", "backend:9000"),
    ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ("sec-websocket-version", "13"),
    ("upgrade", "websocket"),
    ("x-forwarded-for", "192.0.2.1"),
    ("x-forwarded-host", "chat.example.org"),
    ("x-forwarded-proto", "http"),
    ("x-forwarded-user", "jane"),
];

/// The fields that each client sends.
const OF_CLIENT: [(&str, &str); 6] = [
    ("Host", "chat.example.org"),
    ("Upgrade", "websocket"),
    ("Connection", "Upgrade"),
    ("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA=="),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Extensions", "permessage-deflate"),
];

fn head(more: &[(&str, &str)]) -> RequestHead {
    RequestHead::of("/app/x/y?a=b%20c", &[&OF_CLIENT, more].concat())
}

fn expected(fields: &[(&str, &str)]) -> BTreeMap<String, Vec<String>> {
    let fields = fields.iter();
    fields
        .map(|(name, value)| ((*name).to_owned(), vec![(*value).to_owned()]))
        .collect()
}

#[test]
fn request_has_fields_of_relay_alone() {
    let (target, fields) = sent(&relay(""), &user("jane"), &head(&[]), &[]);
    assert_eq!(target, "/base/x/y?a=b%20c");
    assert_eq!(fields, expected(&OF_RELAY));
}

/// None of these reaches the upstream, in whatever spelling the client sends it.
#[test]
fn forged_fields_are_removed() {
    let names = [
        "X-Forwarded-User",
        "x-forwarded-user",
        "X-FORWARDED-USER",
        "X_Forwarded_User",
        "X-Forwarded_User",
        "x_forwarded-user",
        "X_FORWARDED_USER",
        "X.Forwarded.User",
        "X-Forwarded-User~",
        "X+Forwarded+User",
        "X-Forwarded-For",
        "X_Forwarded_For",
        "X-Forwarded-Proto",
        "X-Forwarded-Host",
        "X-Forwarded-Port",
        "X-Forwarded-Server",
        "X-Forwarded-Email",
        "X-Forwarded-Groups",
        "Forwarded",
        "FORWARDED",
        "Via",
        "X-Real-IP",
        "X_Real_IP",
        "Remote-User",
        "Remote_User",
        "X-Original-URL",
        "X-Rewrite-URL",
        "Authorization",
        "authorization",
        "Cookie",
        "Proxy",
        "Proxy-Authorization",
        "Proxy-Connection",
        "Keep-Alive",
        "TE",
        "Trailer",
        "Transfer-Encoding",
        "Content-Length",
        "Expect",
        "HTTP2-Settings",
        "Sec-WebSocket-Protocol",
        "Sec-WebSocket-Accept",
        "sec_websocket_key",
        "X'Quote",
        "X!Bang",
        "X#Hash",
        "X|Pipe",
        "X^Caret",
        "X`Tick",
        "X*Star",
        "X%20",
        "X$",
    ];
    for principal in [user("jane"), guest()] {
        let own = if principal.user().is_some() { 9 } else { 8 };
        for name in names {
            for fields in [&[(name, "admin")][..], &[(name, "admin"), (name, "root")]] {
                let (_, sent) = sent(&relay(""), &principal, &head(fields), &[]);
                assert_eq!(sent, expected(&OF_RELAY[..own]), "{name}");
            }
        }
    }
}

#[test]
fn other_fields_of_client_are_passed_on() {
    let fields = [
        (
            "Traceparent",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ),
        ("User-Agent", "test"),
        ("Accept-Language", "de"),
        ("Origin", "http://chat.example.org"),
        ("X-Custom", "1"),
        ("X-Custom", "2"),
    ];
    let (_, sent) = sent(&relay(""), &user("jane"), &head(&fields), &[]);
    let mut all = expected(&OF_RELAY);
    for (name, value) in fields {
        let values = all.entry(name.to_ascii_lowercase()).or_default();
        values.push(value.to_owned());
    }
    assert_eq!(sent, all);
}

/// A client could name a field in `Connection` to have it removed on the way (RFC 9110 section 7.6.1).
#[test]
fn nomination_removes_only_fields_of_client() {
    let fields = [
        (
            "Connection",
            "X-Custom, X-Forwarded-User, host, x-forwarded-for",
        ),
        ("X-Custom", "1"),
    ];
    let (_, sent) = sent(&relay(""), &user("jane"), &head(&fields), &[]);
    assert_eq!(sent, expected(&OF_RELAY));
}

#[test]
fn configured_identity_cannot_be_forged() {
    let relay = relay("identity_header = \"X-Auth-Name\"\nidentity_prefix = \"ws:\"");
    for name in [
        "X-Auth-Name",
        "x-auth-name",
        "X_Auth_Name",
        "X-Auth_Name",
        "x.auth.name",
    ] {
        for (principal, value) in [(user("jane"), Some("ws:jane")), (guest(), None)] {
            let forged = [(name, "ws:admin"), ("X-Forwarded-User", "admin")];
            let (_, sent) = sent(&relay, &principal, &head(&forged), &[]);
            let found = sent.get("x-auth-name").map(|values| values.join("|"));
            assert_eq!(found.as_deref(), value, "{name}");
            assert!(!sent.contains_key("x-forwarded-user"));
            assert!(!format!("{sent:?}").contains("admin"), "{sent:?}");
        }
    }
}

#[test]
fn name_of_user_is_percent_encoded() {
    for (name, value) in [
        ("jane", "jane"),
        ("jane@example.org", "jane@example.org"),
        ("J. Doe", "J.%20Doe"),
        ("admin,jane", "admin%2Cjane"),
        ("50%", "50%25"),
        ("caf\u{e9}", "caf%C3%A9"),
        ("a;b='c'", "a%3Bb%3D%27c%27"),
    ] {
        let (_, sent) = sent(&relay(""), &user(name), &head(&[]), &[]);
        assert_eq!(sent["x-forwarded-user"], [value], "{name}");
    }
}

#[test]
fn fields_on_demand_are_sent() {
    let relay = relay(
        "forwarded = true\nforward = [\"cookie\"]\n\
         headers = { Authorization = \"Bearer x\", X-Key = \"1\", X_Old = \"2\", Host = \"app\" }",
    );
    let fields = [
        ("Cookie", "a=b"),
        ("Authorization", "Basic eDp5"),
        ("X-Key", "9"),
        ("X-Old", "9"),
        ("Forwarded", "for=127.0.0.1"),
    ];
    let (_, sent) = sent(&relay, &user("jane"), &head(&fields), &["a", "b"]);
    let mut all = expected(&OF_RELAY);
    all.extend(expected(&[
        ("authorization", "Bearer x"),
        ("cookie", "a=b"),
        (
            "forwarded",
            "for=192.0.2.1;host=\"chat.example.org\";proto=http",
        ),
        ("host", "app"),
        ("sec-websocket-protocol", "a, b"),
        ("x-key", "1"),
        ("x_old", "2"),
    ]));
    assert_eq!(sent, all);
}

#[test]
fn query_is_passed_as_it_is() {
    for (target, expected) in [
        ("/app/x/y", "/base/x/y"),
        ("/app/x/y?", "/base/x/y?"),
        ("/app/x/y?a?b&c=/../d%2F", "/base/x/y?a?b&c=/../d%2F"),
        ("/app/x/y?{a}|b", "/base/x/y?{a}|b"),
        ("/app/x/y?caf\u{e9}", "/base/x/y?caf%C3%A9"),
    ] {
        let head = RequestHead::of(target, &OF_CLIENT);
        let (sent, _) = sent(&relay(""), &guest(), &head, &[]);
        assert_eq!(sent, expected);
    }
}
