//! Requests that the server must refuse.
//!
//! Most are [`HANDSHAKE`] with one line changed, so that the change is the reason of the refusal.

use ExpectedResponse::{BareStatus, Closed, Refusal};
use raw_peer::{CREDENTIALS, HANDSHAKE};

use super::attack::attacks;
use crate::authorization;

/// The expected response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExpectedResponse {
    /// The server's own refusal, with this status and this line of text.
    Refusal(u16, &'static str),
    /// A refusal of the HTTP library, with this status and no text.
    BareStatus(u16),
    /// No response: the connection is closed.
    Closed,
}

const NO_HTTP_1_1: ExpectedResponse = Refusal(400, "this server speaks HTTP/1.1");
const NO_HOST: ExpectedResponse = Refusal(400, "the Host field is missing");
const BAD_HOST: ExpectedResponse =
    Refusal(400, "the Host field is not a host with an optional port");
const BAD_TARGET: ExpectedResponse = Refusal(
    400,
    "the request target is neither a path nor a URI of the Host",
);
const BAD_PATH: ExpectedResponse = Refusal(
    400,
    "the path has an empty, . or .. segment, or a percent-encoding that is malformed or of / \\ NUL",
);
const REPEATED: ExpectedResponse = Refusal(400, "a field that may occur once is repeated");
const BODY: ExpectedResponse = Refusal(400, "a handshake has no body");
const UNKNOWN_PATH: ExpectedResponse = Refusal(404, "there is nothing at this path");
const BAD_METHOD: ExpectedResponse = Refusal(405, "a WebSocket handshake is a GET request");
const NO_UPGRADE: ExpectedResponse = Refusal(
    426,
    "this is a WebSocket server: the Upgrade field must name websocket",
);
const NO_CONNECTION: ExpectedResponse = Refusal(426, "the Connection field must name upgrade");
const BAD_VERSION: ExpectedResponse = Refusal(426, "the Sec-WebSocket-Version must be 13");
const NO_KEY: ExpectedResponse = Refusal(400, "the Sec-WebSocket-Key field is missing");
const BAD_KEY: ExpectedResponse = Refusal(400, "the Sec-WebSocket-Key must be base64 of 16 bytes");
const WRONG_CREDENTIALS: ExpectedResponse = Refusal(401, "the username or password is wrong");
const BAD_ORIGIN: ExpectedResponse = Refusal(403, "pages of this origin may not connect here");

const REQUEST_LINE: &str = "GET / HTTP/1.1";
const HOST: &str = "Host: localhost";
const UPGRADE: &str = "Upgrade: websocket";
const CONNECTION: &str = "Connection: Upgrade";
const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
const VERSION: &str = "Sec-WebSocket-Version: 13";

attacks!(
    ExpectedResponse,
    bad_requests,
    // The request line.
    http_1_0(
        "RFC 6455 4.2.1",
        NO_HTTP_1_1,
        instead_of(REQUEST_LINE, "GET / HTTP/1.0")
    ),
    http_1_0_keep_alive(
        "RFC 9112 9.3",
        NO_HTTP_1_1,
        b"GET / HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n".repeat(2)
    ),
    http_1_2(
        "RFC 9110 2.5",
        BareStatus(400),
        instead_of(REQUEST_LINE, "GET / HTTP/1.2")
    ),
    http_in_lower_case(
        "RFC 9112 2.3",
        BareStatus(400),
        instead_of(REQUEST_LINE, "GET / http/1.1")
    ),
    http_0_9("RFC 9112 3", BareStatus(400), b"GET /\r\n".to_vec()),
    http_2_preface(
        "RFC 9113 3.4",
        Closed,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec()
    ),
    tls_hello(
        "RFC 9112 3",
        BareStatus(400),
        b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03".repeat(4)
    ),
    frames_without_a_handshake(
        "RFC 6455 4.1",
        BareStatus(400),
        raw_peer::frame::text("admin:123456")
    ),
    two_spaces_before_the_target(
        "RFC 9112 3",
        BareStatus(400),
        instead_of(REQUEST_LINE, "GET  / HTTP/1.1")
    ),
    space_in_the_target(
        "RFC 9112 3.2",
        BareStatus(400),
        instead_of(REQUEST_LINE, "GET / / HTTP/1.1")
    ),
    control_byte_in_the_target(
        "RFC 9112 3.2",
        BareStatus(400),
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
        "RFC 3986 6.2.2",
        BAD_PATH,
        instead_of(REQUEST_LINE, "GET // HTTP/1.1")
    ),
    path_traversal(
        "RFC 3986 6.2.2",
        BAD_PATH,
        instead_of(REQUEST_LINE, "GET /../../etc/passwd HTTP/1.1")
    ),
    path_of_an_encoded_dot(
        "RFC 3986 6.2.2",
        BAD_PATH,
        instead_of(REQUEST_LINE, "GET /%2e HTTP/1.1")
    ),
    path_without_a_slash(
        "RFC 9112 3.2.1",
        BareStatus(400),
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
    target_with_a_user_and_valid_credentials(
        "RFC 9110 4.2.4",
        BAD_TARGET,
        instead_of(
            REQUEST_LINE,
            &format!(
                "GET http://admin@localhost/ HTTP/1.1\r\n{}",
                authorization(CREDENTIALS)
            )
        )
    ),
    target_with_an_empty_user(
        "RFC 9110 4.2.4",
        BAD_TARGET,
        instead_of(REQUEST_LINE, "GET http://@localhost/ HTTP/1.1")
    ),
    target_with_the_host_as_user(
        "RFC 9110 4.2.4",
        BAD_TARGET,
        instead_of(
            REQUEST_LINE,
            "GET http://localhost@internal.example/ HTTP/1.1"
        )
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
    connect_method(
        "RFC 6455 4.2.1",
        BAD_TARGET,
        instead_of(REQUEST_LINE, "CONNECT localhost:22 HTTP/1.1")
    ),
    asterisk_target(
        "RFC 9112 3.2.4",
        BAD_TARGET,
        instead_of(REQUEST_LINE, "GET * HTTP/1.1")
    ),
    options_asterisk(
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
    // Header fields that parsers interpret differently.
    space_before_a_colon(
        "RFC 9112 5.1",
        BareStatus(400),
        instead_of(HOST, "Host : localhost")
    ),
    folded_field(
        "RFC 9112 5.2",
        BareStatus(400),
        with("X-Folded: one\r\n two")
    ),
    space_before_the_first_field(
        "RFC 9112 2.2",
        BareStatus(400),
        instead_of(HOST, " Host: localhost")
    ),
    bare_carriage_return(
        "RFC 9112 2.2",
        BareStatus(400),
        with("X-Bare: one\rHost: internal.example")
    ),
    nul_in_a_value("RFC 9110 5.5", BareStatus(400), with("X-Nul: one\0two")),
    nul_in_a_name("RFC 9110 5.1", BareStatus(400), with("X-\0Nul: one")),
    line_without_a_colon("RFC 9112 5", BareStatus(400), with("X-Nothing")),
    field_without_a_name("RFC 9110 5.1", BareStatus(400), with(": nameless")),
    name_in_brackets("RFC 9110 5.6.2", BareStatus(400), with("X-(Comment): one")),
    // Bodies, which decide where the next request begins.
    content_length(
        "RFC 9110 9.3.1",
        BODY,
        [with("Content-Length: 5"), b"hello".to_vec()].concat()
    ),
    two_content_lengths(
        "RFC 9112 6.3",
        BareStatus(400),
        with("Content-Length: 0\r\nContent-Length: 5")
    ),
    list_of_content_lengths(
        "RFC 9110 8.6",
        BareStatus(400),
        with("Content-Length: 0, 0")
    ),
    content_length_with_a_sign("RFC 9110 8.6", BareStatus(400), with("Content-Length: +0")),
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
    gzip_after_chunked(
        "RFC 9112 6.3",
        BareStatus(400),
        with("Transfer-Encoding: chunked, gzip")
    ),
    pipelined_request_after_a_refusal(
        "RFC 9112 9.6",
        UNKNOWN_PATH,
        [
            instead_of(REQUEST_LINE, "GET /admin HTTP/1.1"),
            HANDSHAKE.into()
        ]
        .concat()
    ),
    // Fields of the handshake.
    no_upgrade("RFC 6455 4.2.1", NO_UPGRADE, without(UPGRADE)),
    upgrade_to_similar_tokens(
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
    key_with_trailing_bits(
        "RFC 4648 3.5",
        BAD_KEY,
        instead_of(KEY, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZR==")
    ),
    key_in_base64url(
        "RFC 4648 5",
        BAD_KEY,
        instead_of(KEY, "Sec-WebSocket-Key: -_hlIHNhbXBsZSBub25jZQ==")
    ),
    // Origins.
    null_origin("RFC 6454 7.3", BAD_ORIGIN, with("Origin: null")),
    foreign_origin(
        "RFC 6455 10.2",
        BAD_ORIGIN,
        with("Origin: https://evil.example")
    ),
    origin_with_the_host_as_prefix(
        "RFC 6455 10.2",
        BAD_ORIGIN,
        with("Origin: http://localhost.evil.example")
    ),
    origin_with_the_host_as_user(
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
    // Credentials in the handshake. Each row is one failed attempt.
    wrong_password(
        "RFC 7617 2",
        WRONG_CREDENTIALS,
        with(&authorization("admin:1"))
    ),
    unknown_user(
        "RFC 7617 2",
        WRONG_CREDENTIALS,
        with(&authorization("unknown:123456"))
    ),
    name_in_another_case(
        "RFC 7617 2",
        WRONG_CREDENTIALS,
        with(&authorization("Admin:123456"))
    ),
    password_with_a_suffix(
        "RFC 7617 2",
        WRONG_CREDENTIALS,
        with(&authorization("admin:123456:x"))
    ),
    password_with_a_trailing_nul(
        "RFC 7617 2",
        WRONG_CREDENTIALS,
        with(&authorization("admin:123456\0"))
    ),
    password_with_a_trailing_line_break(
        "RFC 7617 2",
        WRONG_CREDENTIALS,
        with(&authorization("admin:123456\r\n"))
    ),
    space_before_the_name(
        "RFC 7617 2",
        WRONG_CREDENTIALS,
        with(&authorization(" admin:123456"))
    ),
    empty_name(
        "RFC 7617 2",
        WRONG_CREDENTIALS,
        with(&authorization(":123456"))
    ),
    empty_password(
        "RFC 7617 2",
        WRONG_CREDENTIALS,
        with(&authorization("admin:"))
    ),
    no_colon(
        "RFC 7617 2",
        WRONG_CREDENTIALS,
        with(&authorization("admin"))
    ),
    control_character_in_the_name(
        "RFC 7617 2",
        WRONG_CREDENTIALS,
        with(&authorization("ad\x1bmin:123456"))
    ),
    overlong_name(
        "RFC 7617 2",
        WRONG_CREDENTIALS,
        with(&authorization(format!("{}:123456", "n".repeat(65))))
    ),
    overlong_credentials(
        "RFC 7617 2",
        WRONG_CREDENTIALS,
        with(&authorization(format!("admin:{}", "x".repeat(1100))))
    ),
    credentials_near_the_head_limit(
        "RFC 7617 2",
        WRONG_CREDENTIALS,
        with(&authorization(format!("admin:{}", "x".repeat(11_000))))
    ),
    credentials_beyond_the_head_limit(
        "RFC 6585 5",
        BareStatus(431),
        with(&authorization(format!("admin:{}", "x".repeat(13_000))))
    ),
    credentials_in_latin_1(
        "RFC 7617 2.1",
        WRONG_CREDENTIALS,
        with(&authorization(b"t\xe9st:123456"))
    ),
    credentials_in_overlong_utf_8(
        "RFC 3629 3",
        WRONG_CREDENTIALS,
        with(&authorization(b"\xc1\xa1dmin:123456"))
    ),
    scheme_without_credentials(
        "RFC 9110 11.4",
        WRONG_CREDENTIALS,
        with("Authorization: Basic")
    ),
    credentials_without_base64(
        "RFC 7617 2",
        WRONG_CREDENTIALS,
        with("Authorization: Basic admin:123456")
    ),
    base64_without_padding(
        "RFC 4648 3.2",
        WRONG_CREDENTIALS,
        with(authorization("admin:12345").trim_end_matches('='))
    ),
    base64_with_more_padding(
        "RFC 4648 4",
        WRONG_CREDENTIALS,
        with(&format!("{}=", authorization(CREDENTIALS)))
    ),
    base64_with_trailing_bits(
        "RFC 4648 3.5",
        WRONG_CREDENTIALS,
        with("Authorization: Basic YWRtaW46MTIzNDV=")
    ),
    credentials_in_base64url(
        "RFC 4648 5",
        WRONG_CREDENTIALS,
        with("Authorization: Basic YWRtaW46_-8=")
    ),
    base64_with_a_space_in_it(
        "RFC 4648 3.3",
        WRONG_CREDENTIALS,
        with("Authorization: Basic YWRtaW46 MTIzNDU2")
    ),
    base64_with_a_suffix(
        "RFC 7617 2",
        WRONG_CREDENTIALS,
        with(&format!("{} realm=x", authorization(CREDENTIALS)))
    ),
    two_credentials_in_a_list(
        "RFC 9110 11.6.2",
        WRONG_CREDENTIALS,
        with(&format!("{0}, {0}", authorization(CREDENTIALS)))
    ),
    two_credentials(
        "RFC 9110 11.6.2",
        WRONG_CREDENTIALS,
        with(&[authorization(CREDENTIALS), authorization(CREDENTIALS)].join("\r\n"))
    ),
    valid_and_wrong_credentials(
        "RFC 9110 11.6.2",
        WRONG_CREDENTIALS,
        with(&[authorization(CREDENTIALS), authorization("admin:1")].join("\r\n"))
    ),
    valid_credentials_and_a_token(
        "RFC 9110 11.6.2",
        WRONG_CREDENTIALS,
        with(&format!(
            "{}\r\nauthorization: Bearer x",
            authorization(CREDENTIALS)
        ))
    ),
    empty_authorization("RFC 9110 11.6.2", WRONG_CREDENTIALS, with("Authorization:")),
    no_scheme(
        "RFC 9110 11.4",
        WRONG_CREDENTIALS,
        with("Authorization: YWRtaW46MTIzNDU2")
    ),
    bearer_scheme(
        "RFC 9110 11.6.2",
        WRONG_CREDENTIALS,
        with("Authorization: Bearer YWRtaW46MTIzNDU2")
    ),
    digest_scheme(
        "RFC 9110 11.6.2",
        WRONG_CREDENTIALS,
        with("Authorization: Digest username=\"admin\", realm=\"ws-server\"")
    ),
    scheme_with_a_similar_name(
        "RFC 9110 11.6.2",
        WRONG_CREDENTIALS,
        with("Authorization: Basics YWRtaW46MTIzNDU2")
    ),
    scheme_followed_by_a_tab(
        "RFC 9110 11.4",
        WRONG_CREDENTIALS,
        with("Authorization: Basic\tYWRtaW46MTIzNDU2")
    ),
    non_ascii_credentials(
        "RFC 9110 5.5",
        WRONG_CREDENTIALS,
        [
            HANDSHAKE.trim_end().as_bytes(),
            b"\r\nAuthorization: Basic \xff\xfe\r\n\r\n"
        ]
        .concat()
    ),
    // Other errors take precedence, and the credentials are not verified.
    credentials_with_a_foreign_origin(
        "RFC 6455 10.2",
        BAD_ORIGIN,
        with(&format!(
            "Origin: https://evil.example\r\n{}",
            authorization(CREDENTIALS)
        ))
    ),
    credentials_for_an_unknown_path(
        "RFC 6455 4.2.2",
        UNKNOWN_PATH,
        instead_of(
            REQUEST_LINE,
            &format!("GET /admin HTTP/1.1\r\n{}", authorization(CREDENTIALS))
        )
    ),
    credentials_without_an_upgrade(
        "RFC 6455 4.2.1",
        NO_UPGRADE,
        instead_of(UPGRADE, &authorization(CREDENTIALS))
    ),
    credentials_without_a_key(
        "RFC 6455 4.2.1",
        NO_KEY,
        instead_of(KEY, &authorization(CREDENTIALS))
    ),
    proxy_credentials(
        "RFC 9110 11.7.2",
        BAD_TARGET,
        instead_of(
            REQUEST_LINE,
            &format!(
                "CONNECT localhost:22 HTTP/1.1\r\nProxy-{}",
                authorization(CREDENTIALS)
            )
        )
    ),
    // Limits.
    long_target(
        "RFC 6585 5",
        BareStatus(431),
        instead_of(
            REQUEST_LINE,
            &format!("GET /?{} HTTP/1.1", "x".repeat(17_000))
        )
    ),
    long_field(
        "RFC 6585 5",
        BareStatus(431),
        with(&format!("X-Long: {}", "x".repeat(17_000)))
    ),
    long_line_without_an_end("RFC 6585 5", BareStatus(431), b"x".repeat(17_000)),
    too_many_fields(
        "RFC 6585 5",
        BareStatus(431),
        with(&["X: x"; 96].join("\r\n"))
    ),
);

/// Returns [`HANDSHAKE`] with a line replaced.
fn instead_of(line: &str, other: &str) -> Vec<u8> {
    replaced(line, &format!("{other}\r\n"))
}

/// Returns [`HANDSHAKE`] without a line.
fn without(line: &str) -> Vec<u8> {
    replaced(line, "")
}

/// Returns [`HANDSHAKE`] with additional lines.
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
