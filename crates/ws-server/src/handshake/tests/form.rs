//! Tests of the form of a request, and of the upgrade.

use super::case_request::{CaseRequest, assert_refused, assert_upgrades};
use crate::handshake::Refusal;

#[test]
fn valid_request_in_any_spelling_upgrades() {
    assert_upgrades(&CaseRequest::valid());
    assert_upgrades(&CaseRequest::valid().set("Upgrade", "h2c, WebSocket"));
    assert_upgrades(&CaseRequest::valid().set("Connection", "keep-alive, upgrade"));
    assert_upgrades(
        &CaseRequest::valid()
            .set("Connection", "keep-alive")
            .with("Connection", "UPGRADE"),
    );
    assert_upgrades(&CaseRequest::valid().set("Host", "[::1]:5678"));
    assert_upgrades(&CaseRequest::valid().set("Host", "localhost"));
    assert_upgrades(&CaseRequest::valid().set("Host", "localhost:"));
    assert_upgrades(&CaseRequest::valid().target("/?token=secret"));
    assert_upgrades(&CaseRequest::valid().target("http://SERVER.example.com:5678/"));
    assert_upgrades(&CaseRequest::valid().with("Content-Length", "0"));
    assert_upgrades(
        &CaseRequest::valid()
            .with("Cookie", "a=b")
            .with("Cookie", "c=d"),
    );
    assert_upgrades(&CaseRequest::valid().with("Sec-WebSocket-Extensions", "permessage-deflate"));
}

#[test]
fn malformed_request_refused() {
    let valid = CaseRequest::valid;
    assert_refused(vec![
        (
            valid().version(http::Version::HTTP_10),
            Refusal::HttpVersion,
        ),
        (valid().version(http::Version::HTTP_2), Refusal::HttpVersion),
        (valid().without("Host"), Refusal::NoHost),
        (
            valid().with("Host", "server.example.com:5678"),
            Refusal::DuplicateField,
        ),
        (valid().set("Host", ""), Refusal::BadHost),
        (valid().set("Host", "server example.com"), Refusal::BadHost),
        (
            valid().set("Host", "server.example.com:http"),
            Refusal::BadHost,
        ),
        (
            valid().set("Host", "server.example.com:99999"),
            Refusal::BadHost,
        ),
        (
            valid().set("Host", "server.example.com:+5678"),
            Refusal::BadHost,
        ),
        (valid().set("Host", ":5678"), Refusal::BadHost),
        (valid().set("Host", "[server]:5678"), Refusal::BadHost),
        (valid().set("Host", "[::1%25eth0]"), Refusal::BadHost),
        (valid().set("Host", "[]"), Refusal::BadHost),
        (valid().set("Host", "server[]"), Refusal::BadHost),
        (
            valid().set("Host", "user@server.example.com"),
            Refusal::BadHost,
        ),
        (valid().set("Host", "server.example.com/"), Refusal::BadHost),
        (valid().set("Host", "ünï.example.com"), Refusal::BadHost),
        (
            valid().target("http://other.example.com/"),
            Refusal::BadRequestTarget,
        ),
        (
            valid().target("http://server.example.com/"),
            Refusal::BadRequestTarget,
        ),
        (
            valid().target("ftp://server.example.com:5678/"),
            Refusal::BadRequestTarget,
        ),
        (
            valid().target("http://server.example.com:+5678/"),
            Refusal::BadRequestTarget,
        ),
        (
            valid().target("http://user@server.example.com:5678/"),
            Refusal::BadRequestTarget,
        ),
        (
            valid().method("OPTIONS").target("*"),
            Refusal::BadRequestTarget,
        ),
        (
            valid().method("CONNECT").target("server.example.com:5678"),
            Refusal::BadRequestTarget,
        ),
        (
            valid().with("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
            Refusal::DuplicateField,
        ),
        (
            valid().with("Sec-WebSocket-Version", "13"),
            Refusal::DuplicateField,
        ),
        (
            valid()
                .with("Origin", "http://a")
                .with("Origin", "http://a"),
            Refusal::DuplicateField,
        ),
        (valid().with("Content-Length", "1"), Refusal::UnexpectedBody),
        (
            valid().with("Transfer-Encoding", "chunked"),
            Refusal::UnexpectedBody,
        ),
    ]);
}

#[test]
fn request_without_handshake_refused() {
    let valid = CaseRequest::valid;
    assert_refused(vec![
        (valid().target("/chat"), Refusal::UnknownPath),
        (valid().target("/chat").method("POST"), Refusal::UnknownPath),
        (valid().target("//"), Refusal::BadPath),
        (valid().target("/a/../"), Refusal::BadPath),
        (valid().target("/%2e"), Refusal::BadPath),
        (valid().target("/%"), Refusal::BadPath),
        (valid().method("POST"), Refusal::MethodNotAllowed),
        (valid().method("HEAD"), Refusal::MethodNotAllowed),
        (
            valid().method("HEAD").without("Upgrade"),
            Refusal::NoUpgrade,
        ),
        (valid().without("Upgrade"), Refusal::NoUpgrade),
        (valid().set("Upgrade", "websockets"), Refusal::NoUpgrade),
        (valid().without("Connection"), Refusal::NoConnectionUpgrade),
        (
            valid().set("Connection", "close"),
            Refusal::NoConnectionUpgrade,
        ),
        (
            valid().without("Sec-WebSocket-Version"),
            Refusal::WebSocketVersion,
        ),
        (
            valid().set("Sec-WebSocket-Version", "8"),
            Refusal::WebSocketVersion,
        ),
        (
            valid().set("Sec-WebSocket-Version", "13, 8"),
            Refusal::WebSocketVersion,
        ),
        (valid().without("Sec-WebSocket-Key"), Refusal::NoKey),
        (
            valid().set("Sec-WebSocket-Key", "too short"),
            Refusal::BadKey,
        ),
        (
            valid().set("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ"),
            Refusal::BadKey,
        ),
    ]);
}
