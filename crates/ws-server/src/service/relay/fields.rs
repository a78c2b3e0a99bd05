//! The names of fields that a relay writes, removes, or leaves to the configuration.

/// The fields of a client that are never passed on by themselves: those of the connection (RFC 9110
/// section 7.6.1), those about a body, credentials, and those with which proxies report a client or a
/// user.
const RESERVED: [&str; 19] = [
    "authorization",
    "connection",
    "content-length",
    "cookie",
    "expect",
    "forwarded",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy",
    "remote-user",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "x-original-url",
    "x-real-ip",
    "x-rewrite-url",
];

/// The beginnings of further such names.
const RESERVED_PREFIXES: [&str; 3] = ["proxy-", "sec-websocket-", "x-forwarded-"];

/// The fields of the connection, which the configuration cannot set.
const OF_CONNECTION: [&str; 10] = [
    "connection",
    "content-length",
    "expect",
    "http2-settings",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// The fields of the relay about the client.
const ABOUT_CLIENT: [&str; 5] = [
    "forwarded",
    "host",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
];

/// Returns true if the configuration may give this name, in lower case, to the field with the user.
pub(super) fn may_name_identity(name: &str) -> bool {
    let is_usual = name == "remote-user" || name.starts_with("x-forwarded-");
    !ABOUT_CLIENT.contains(&name) && (is_usual || !is_of_relay(name))
}

/// Returns true if the configuration may set the field with this name, in lower case.
pub(super) fn may_set(name: &str) -> bool {
    let is_of_handshake = name.starts_with("sec-websocket-");
    let names_client = matches!(name, "forwarded" | "x-forwarded-for");
    !OF_CONNECTION.contains(&name) && !is_of_handshake && !names_client
}

/// Returns true for a name, in lower case, that a client may not send to the upstream.
pub(super) fn is_of_relay(name: &str) -> bool {
    RESERVED.contains(&name)
        || RESERVED_PREFIXES
            .iter()
            .any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::{may_name_identity, may_set};

    #[test]
    fn fields_of_connection_cannot_be_configured() {
        for name in [
            "connection",
            "upgrade",
            "te",
            "content-length",
            "sec-websocket-key",
            "x-forwarded-for",
        ] {
            assert!(!may_set(name), "{name}");
            assert!(!may_name_identity(name), "{name}");
        }
        for name in [
            "host",
            "cookie",
            "authorization",
            "forwarded",
            "x-forwarded-proto",
            "proxy-user",
        ] {
            assert!(!may_name_identity(name), "{name}");
        }
        for name in ["remote-user", "x-forwarded-email", "x-auth-request-user"] {
            assert!(may_set(name) && may_name_identity(name), "{name}");
        }
    }
}
