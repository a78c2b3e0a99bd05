//! Requests that are to be refused.
//!
//! Most are [`HANDSHAKE`] with one line changed, so that nothing but the fault can be what is
//! refused.

use raw_peer::HANDSHAKE;

use super::attacks;

/// What a request gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// A refusal of ours: this status, and this text on one line.
    Refused(u16, &'static str),
    /// A refusal of the HTTP library: this status, and no text.
    Unread(u16),
    /// The connection is closed.
    Closed,
}

use Answer::{Closed, Refused, Unread};

const NO_HTTP_1_1: Answer = Refused(400, "this server speaks HTTP/1.1");
const NO_HOST: Answer = Refused(400, "the Host field is missing");
const BAD_HOST: Answer = Refused(400, "the Host field is not a host with an optional port");
const BAD_TARGET: Answer = Refused(
    400,
    "the request target is neither a path nor a URI of the Host",
);
const REPEATED: Answer = Refused(400, "a field that may be given once is given twice");
const BODY: Answer = Refused(400, "a handshake has no body");
const UNKNOWN_PATH: Answer = Refused(404, "there is nothing at this path");
const BAD_METHOD: Answer = Refused(405, "a WebSocket handshake is a GET request");
const NO_UPGRADE: Answer = Refused(
    426,
    "this is a WebSocket server: the Upgrade field must name websocket",
);
const NO_CONNECTION: Answer = Refused(426, "the Connection field must name upgrade");
const BAD_VERSION: Answer = Refused(426, "the Sec-WebSocket-Version must be 13");
const NO_KEY: Answer = Refused(400, "the Sec-WebSocket-Key field is missing");
const BAD_KEY: Answer = Refused(400, "the Sec-WebSocket-Key must be base64 of 16 bytes");
const BAD_ORIGIN: Answer = Refused(403, "pages of this origin may not connect here");

const REQUEST_LINE: &str = "GET / HTTP/1.1";
const HOST: &str = "Host: localhost";
const UPGRADE: &str = "Upgrade: websocket";
const CONNECTION: &str = "Connection: Upgrade";
const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
const VERSION: &str = "Sec-WebSocket-Version: 13";

attacks!(
    Answer,
    bad_requests,
    // The request line.
    http_1_0(
        "RFC 6455 4.2.1",
        NO_HTTP_1_1,
        instead_of(REQUEST_LINE, "GET / HTTP/1.0")
    ),
    http_1_0_that_wants_to_stay(
        "RFC 9112 9.3",
        NO_HTTP_1_1,
        b"GET / HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n".repeat(2)
    ),
    http_1_2(
        "RFC 9110 2.5",
        Unread(400),
        instead_of(REQUEST_LINE, "GET / HTTP/1.2")
    ),
    http_in_lower_case(
        "RFC 9112 2.3",
        Unread(400),
        instead_of(REQUEST_LINE, "GET / http/1.1")
    ),
    http_0_9("RFC 9112 3", Unread(400), b"GET /\r\n".to_vec()),
    http_2_preface(
        "RFC 9113 3.4",
        Closed,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec()
    ),
    tls_hello(
        "RFC 9112 3",
        Unread(400),
        b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03".repeat(4)
    ),
    frames_without_a_handshake(
        "RFC 6455 4.1",
        Unread(400),
        raw_peer::frame::text("admin:123456")
    ),
    two_spaces_before_the_target(
        "RFC 9112 3",
        Unread(400),
        instead_of(REQUEST_LINE, "GET  / HTTP/1.1")
    ),
    space_in_the_target(
        "RFC 9112 3.2",
        Unread(400),
        instead_of(REQUEST_LINE, "GET / / HTTP/1.1")
    ),
    control_byte_in_the_target(
        "RFC 9112 3.2",
        Unread(400),
        instead_of(REQUEST_LINE, "GET /\x01 HTTP/1.1")
    ),
    post(
        "RFC 6455 4.2.1",
        BAD_METHOD,
        instead_of(REQUEST_LINE, "POST / HTTP/1.1")
    ),
    head(
        "RFC 6455 4.2.1",
        BAD_METHOD,
        instead_of(REQUEST_LINE, "HEAD / HTTP/1.1")
    ),
    method_in_lower_case(
        "RFC 9110 9.1",
        BAD_METHOD,
        instead_of(REQUEST_LINE, "get / HTTP/1.1")
    ),
    // The target.
    unknown_path(
        "RFC 6455 4.2.2",
        UNKNOWN_PATH,
        instead_of(REQUEST_LINE, "GET /admin HTTP/1.1")
    ),
    path_of_two_slashes(
        "RFC 6455 4.2.2",
        UNKNOWN_PATH,
        instead_of(REQUEST_LINE, "GET // HTTP/1.1")
    ),
    path_that_climbs_out(
        "RFC 6455 4.2.2",
        UNKNOWN_PATH,
        instead_of(REQUEST_LINE, "GET /../../etc/passwd HTTP/1.1")
    ),
    path_of_an_encoded_dot(
        "RFC 6455 4.2.2",
        UNKNOWN_PATH,
        instead_of(REQUEST_LINE, "GET /%2e HTTP/1.1")
    ),
    path_without_a_slash(
        "RFC 9112 3.2.1",
        Unread(400),
        instead_of(REQUEST_LINE, "GET admin/login HTTP/1.1")
    ),
    target_of_another_host(
        "RFC 9112 3.2",
        BAD_TARGET,
        instead_of(REQUEST_LINE, "GET http://internal.example/ HTTP/1.1")
    ),
    target_of_another_port(
        "RFC 9112 3.2",
        BAD_TARGET,
        instead_of(REQUEST_LINE, "GET http://localhost:22/ HTTP/1.1")
    ),
    target_with_a_user(
        "RFC 9110 4.2.4",
        BAD_TARGET,
        instead_of(REQUEST_LINE, "GET http://admin:123456@localhost/ HTTP/1.1")
    ),
    target_of_another_scheme(
        "RFC 9110 4.2",
        BAD_TARGET,
        instead_of(REQUEST_LINE, "GET ftp://localhost/ HTTP/1.1")
    ),
    authority_target(
        "RFC 9112 3.2.3",
        BAD_TARGET,
        instead_of(REQUEST_LINE, "GET localhost:22 HTTP/1.1")
    ),
    tunnel(
        "RFC 6455 4.2.1",
        BAD_TARGET,
        instead_of(REQUEST_LINE, "CONNECT localhost:22 HTTP/1.1")
    ),
    asterisk_target(
        "RFC 9112 3.2.4",
        BAD_TARGET,
        instead_of(REQUEST_LINE, "GET * HTTP/1.1")
    ),
    options_of_the_server(
        "RFC 6455 4.2.1",
        BAD_TARGET,
        instead_of(REQUEST_LINE, "OPTIONS * HTTP/1.1")
    ),
    // The host.
    no_host("RFC 9112 3.2", NO_HOST, without(HOST)),
    two_hosts("RFC 9112 3.2", REPEATED, with("Host: localhost")),
    empty_host("RFC 9110 4.2.1", BAD_HOST, instead_of(HOST, "Host:")),
    host_with_a_user(
        "RFC 9110 7.2",
        BAD_HOST,
        instead_of(HOST, "Host: admin@localhost")
    ),
    host_with_a_path(
        "RFC 9110 7.2",
        BAD_HOST,
        instead_of(HOST, "Host: localhost/admin")
    ),
    host_with_too_great_a_port(
        "RFC 9110 7.2",
        BAD_HOST,
        instead_of(HOST, "Host: localhost:65536")
    ),
    host_with_a_signed_port(
        "RFC 3986 3.2.3",
        BAD_HOST,
        instead_of(HOST, "Host: localhost:+80")
    ),
    host_of_a_name_in_brackets(
        "RFC 3986 3.2.2",
        BAD_HOST,
        instead_of(HOST, "Host: [localhost]")
    ),
    host_with_brackets_in_its_name(
        "RFC 3986 3.2.2",
        BAD_HOST,
        instead_of(HOST, "Host: localhost[]")
    ),
    list_of_hosts(
        "RFC 9112 3.2",
        BAD_HOST,
        instead_of(HOST, "Host: localhost, internal.example")
    ),
    // The form of the fields: what two parsers read in two ways.
    space_before_a_colon(
        "RFC 9112 5.1",
        Unread(400),
        instead_of(HOST, "Host : localhost")
    ),
    folded_field("RFC 9112 5.2", Unread(400), with("X-Folded: one\r\n two")),
    space_before_the_first_field(
        "RFC 9112 2.2",
        Unread(400),
        instead_of(HOST, " Host: localhost")
    ),
    bare_carriage_return(
        "RFC 9112 2.2",
        Unread(400),
        with("X-Bare: one\rHost: internal.example")
    ),
    nul_in_a_value("RFC 9110 5.5", Unread(400), with("X-Nul: one\0two")),
    nul_in_a_name("RFC 9110 5.1", Unread(400), with("X-\0Nul: one")),
    line_without_a_colon("RFC 9112 5", Unread(400), with("X-Nothing")),
    field_without_a_name("RFC 9110 5.1", Unread(400), with(": nameless")),
    name_in_brackets("RFC 9110 5.6.2", Unread(400), with("X-(Comment): one")),
    // Bodies: where the request ends, and the next one begins.
    content_length(
        "RFC 9110 9.3.1",
        BODY,
        [with("Content-Length: 5"), b"hello".to_vec()].concat()
    ),
    two_content_lengths(
        "RFC 9112 6.3",
        Unread(400),
        with("Content-Length: 0\r\nContent-Length: 5")
    ),
    list_of_content_lengths("RFC 9110 8.6", Unread(400), with("Content-Length: 0, 0")),
    content_length_with_a_sign("RFC 9110 8.6", Unread(400), with("Content-Length: +0")),
    chunked_body(
        "RFC 9110 9.3.1",
        BODY,
        [with("Transfer-Encoding: chunked"), b"0\r\n\r\n".to_vec()].concat()
    ),
    chunked_body_with_a_content_length(
        "RFC 9112 6.1",
        BODY,
        [
            with("Content-Length: 0\r\nTransfer-Encoding: chunked"),
            b"0\r\n\r\n".to_vec()
        ]
        .concat()
    ),
    body_that_is_chunked_and_then_zipped(
        "RFC 9112 6.3",
        Unread(400),
        with("Transfer-Encoding: chunked, gzip")
    ),
    a_request_behind_a_refused_one(
        "RFC 9112 9.6",
        UNKNOWN_PATH,
        [
            instead_of(REQUEST_LINE, "GET /admin HTTP/1.1"),
            HANDSHAKE.into()
        ]
        .concat()
    ),
    // What makes it a handshake.
    no_upgrade("RFC 6455 4.2.1", NO_UPGRADE, without(UPGRADE)),
    upgrade_to_something_like_websocket(
        "RFC 6455 4.2.1",
        NO_UPGRADE,
        instead_of(UPGRADE, "Upgrade: websocket2, web socket")
    ),
    no_connection("RFC 6455 4.2.1", NO_CONNECTION, without(CONNECTION)),
    connection_without_upgrade(
        "RFC 6455 4.2.1",
        NO_CONNECTION,
        instead_of(CONNECTION, "Connection: keep-alive, Upgraded")
    ),
    no_version("RFC 6455 4.2.1", BAD_VERSION, without(VERSION)),
    old_version(
        "RFC 6455 4.4",
        BAD_VERSION,
        instead_of(VERSION, "Sec-WebSocket-Version: 8")
    ),
    list_of_versions(
        "RFC 6455 4.3",
        BAD_VERSION,
        instead_of(VERSION, "Sec-WebSocket-Version: 13, 8")
    ),
    version_with_a_leading_zero(
        "RFC 6455 4.3",
        BAD_VERSION,
        instead_of(VERSION, "Sec-WebSocket-Version: 013")
    ),
    two_versions(
        "RFC 6455 11.3.5",
        REPEATED,
        with("Sec-WebSocket-Version: 13")
    ),
    no_key("RFC 6455 4.2.1", NO_KEY, without(KEY)),
    two_keys("RFC 6455 11.3.1", REPEATED, with(KEY)),
    key_of_15_bytes(
        "RFC 6455 4.2.1",
        BAD_KEY,
        instead_of(KEY, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j")
    ),
    key_of_17_bytes(
        "RFC 6455 4.2.1",
        BAD_KEY,
        instead_of(KEY, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZSE=")
    ),
    key_without_padding(
        "RFC 4648 3.2",
        BAD_KEY,
        instead_of(KEY, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ")
    ),
    key_with_bits_behind_its_end(
        "RFC 4648 3.5",
        BAD_KEY,
        instead_of(KEY, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZR==")
    ),
    key_of_the_alphabet_for_urls(
        "RFC 4648 5",
        BAD_KEY,
        instead_of(KEY, "Sec-WebSocket-Key: -_hlIHNhbXBsZSBub25jZQ==")
    ),
    // Pages of other origins.
    null_origin("RFC 6454 7.3", BAD_ORIGIN, with("Origin: null")),
    foreign_origin(
        "RFC 6455 10.2",
        BAD_ORIGIN,
        with("Origin: https://evil.example")
    ),
    origin_that_begins_like_ours(
        "RFC 6455 10.2",
        BAD_ORIGIN,
        with("Origin: http://localhost.evil.example")
    ),
    origin_with_our_host_for_a_user(
        "RFC 6454 6.2",
        BAD_ORIGIN,
        with("Origin: http://localhost@evil.example")
    ),
    origin_of_another_port(
        "RFC 6454 5",
        BAD_ORIGIN,
        with("Origin: http://localhost:8080")
    ),
    origin_with_a_path(
        "RFC 6454 6.2",
        BAD_ORIGIN,
        with("Origin: http://localhost/")
    ),
    two_origins(
        "RFC 6454 7.3",
        REPEATED,
        with("Origin: http://localhost\r\nOrigin: http://localhost")
    ),
    list_of_origins(
        "RFC 6455 4.2.1",
        BAD_ORIGIN,
        with("Origin: http://localhost https://evil.example")
    ),
    // Too much of it.
    long_target(
        "RFC 6585 5",
        Unread(431),
        instead_of(
            REQUEST_LINE,
            &format!("GET /?{} HTTP/1.1", "x".repeat(17_000))
        )
    ),
    long_field(
        "RFC 6585 5",
        Unread(431),
        with(&format!("X-Long: {}", "x".repeat(17_000)))
    ),
    long_line_without_an_end("RFC 6585 5", Unread(431), b"x".repeat(17_000)),
    too_many_fields("RFC 6585 5", Unread(431), with(&["X: x"; 96].join("\r\n"))),
);

/// [`HANDSHAKE`] with something in the place of a line.
fn instead_of(line: &str, other: &str) -> Vec<u8> {
    replaced(line, &format!("{other}\r\n"))
}

/// [`HANDSHAKE`] without a line.
fn without(line: &str) -> Vec<u8> {
    replaced(line, "")
}

/// [`HANDSHAKE`] with one line more, or several.
fn with(lines: &str) -> Vec<u8> {
    instead_of(VERSION, &format!("{VERSION}\r\n{lines}"))
}

fn replaced(line: &str, other: &str) -> Vec<u8> {
    let line = format!("{line}\r\n");
    assert!(
        HANDSHAKE.contains(&line),
        "{line:?} is not in the handshake"
    );
    HANDSHAKE.replace(&line, other).into_bytes()
}
