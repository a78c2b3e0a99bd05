//! Tests of the responses to refused requests.

use crate::handshake::Refusal;

#[test]
fn refusals_have_fields_required_by_status() {
    let field = |refusal: Refusal, name: &str| {
        let response = refusal.response(5);
        response
            .headers()
            .get(name)
            .map(|value| value.to_str().unwrap().to_owned())
    };
    assert_eq!(field(Refusal::Full, "retry-after").as_deref(), Some("5"));
    assert_eq!(
        field(Refusal::Draining, "retry-after").as_deref(),
        Some("5")
    );
    assert_eq!(
        field(Refusal::MethodNotAllowed, "allow").as_deref(),
        Some("GET, HEAD")
    );
    assert_eq!(
        field(Refusal::MethodNotAllowedGetPost, "allow").as_deref(),
        Some("GET, HEAD, POST")
    );
    for refusal in [
        Refusal::NoUpgrade,
        Refusal::NoConnectionUpgrade,
        Refusal::WebSocketVersion,
    ] {
        assert_eq!(field(refusal, "upgrade").as_deref(), Some("websocket"));
        assert_eq!(
            field(refusal, "connection").as_deref(),
            Some("Upgrade, close")
        );
        assert_eq!(
            field(refusal, "sec-websocket-version").as_deref(),
            Some("13")
        );
    }
    assert_eq!(
        field(Refusal::OriginNotAllowed, "connection").as_deref(),
        Some("close")
    );
}

#[test]
fn refusal_bytes_are_http_response() {
    assert_eq!(
        String::from_utf8(Refusal::Draining.bytes(5)).unwrap(),
        "HTTP/1.1 503 Service Unavailable\r\n\
         content-type: text/plain; charset=utf-8\r\n\
         connection: close\r\n\
         retry-after: 5\r\n\
         content-length: 45\r\n\r\n\
         the server is shutting down, try again later\n"
    );
}
