//! The reasons for the lines of a request, and for the header fields of a refusal.

use std::fmt;

use proto::escape::escaped_start;

use crate::handshake::{Head, MAX_BODY_BYTES, RawResponse, Request, StatusLine, excerpt};

/// The number of characters of a value that are shown.
const MAX_VALUE_CHARS: usize = 120;

/// The fields of a refusal that say what to do next, each with its reason.
const REFUSAL_FIELDS: [(&str, &str); 6] = [
    (
        "Location",
        "another place; a client need not follow it (RFC 6455 section 4.1, response item 1)",
    ),
    (
        "Allow",
        "the methods that this path accepts (RFC 9110 section 10.2.1)",
    ),
    (
        "Upgrade",
        "the protocols that the server accepts here (RFC 9110 section 7.8)",
    ),
    (
        "Sec-WebSocket-Version",
        "the versions that the server supports (RFC 6455 section 4.4)",
    ),
    (
        "Retry-After",
        "the time until another attempt makes sense (RFC 9110 section 10.2.3)",
    ),
    (
        "Connection",
        "close: the connection ends after this response (RFC 9112 section 9.6)",
    ),
];

/// Writes the reason for each line of a request.
pub(super) fn write_request(to: &mut fmt::Formatter<'_>, request: &Request) -> fmt::Result {
    writeln!(to, "\nwhy each line of the request is there")?;
    for line in request.masked().lines().filter(|line| !line.is_empty()) {
        let name = line.split_once(": ").map_or(line, |(name, _)| name);
        writeln!(to, "  {name}\n         {}", request_reason(name))?;
    }
    Ok(())
}

/// Returns the reason for a header field of the request, or for its first line.
fn request_reason(name: &str) -> &'static str {
    match name {
        _ if name.eq_ignore_ascii_case("Host") => {
            "the host and port of the URL; one address can serve several (RFC 9112 section 3.2)"
        }
        "Upgrade" => "the protocol to change to (RFC 6455 section 4.1, request item 5)",
        "Connection" => {
            "Upgrade is a field of this connection only, so no proxy forwards it \
             (RFC 9110 section 7.6.1)"
        }
        "Sec-WebSocket-Key" => {
            "16 random bytes in base64; the accept value proves that the server read them \
             (RFC 6455 section 4.1, request item 7)"
        }
        "Sec-WebSocket-Version" => {
            "13, the version of RFC 6455 (RFC 6455 section 4.1, request item 9)"
        }
        "Sec-WebSocket-Protocol" => {
            "the subprotocols that the client speaks; the server selects one of them or none \
             (RFC 6455 section 4.1, request item 10)"
        }
        "Origin" => {
            "the site of a page, which a browser sends; the server may refuse it \
             (RFC 6455 section 10.2)"
        }
        "Authorization" => "credentials, masked here (RFC 9110 section 11.6.2)",
        name if name.starts_with("GET ") => {
            "a handshake is a GET request of HTTP/1.1 (RFC 6455 section 4.1, request item 2)"
        }
        _ => "added on the command line (RFC 6455 section 4.1, request item 12)",
    }
}

/// Writes the difference between a refusal with this status and an upgrade.
pub(super) fn write_refusal(
    to: &mut fmt::Formatter<'_>,
    status: &StatusLine,
    response: &RawResponse,
) -> fmt::Result {
    writeln!(to, "\nrefusal")?;
    writeln!(
        to,
        "  {} in place of 101: the connection stays HTTP, and no WebSocket frame may follow",
        status.code
    )?;
    let head = Head::parse(response.final_head());
    for (name, reason) in REFUSAL_FIELDS {
        let values = head.values(name);
        let shows = match name {
            "Connection" => head.names(name, "close"),
            _ => !values.is_empty(),
        };
        if shows {
            let values = escaped_start(&values.join(", "), MAX_VALUE_CHARS);
            writeln!(to, "  {name}: {values}\n         {reason}")?;
        }
    }
    let body = response.body();
    if body.is_empty() {
        return Ok(());
    }
    writeln!(to, "  body: {}", excerpt(&body, MAX_BODY_BYTES))?;
    writeln!(to, "         for a person; a program decides by the status")
}
