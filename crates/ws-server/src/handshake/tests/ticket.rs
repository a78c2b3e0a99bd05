//! The decision on requests for tickets, and the fields of their responses.

use std::time::Duration;

use http::{Method, Request, Response, header::HeaderMap, request::Parts};
use proto::{login::Attempt, secret::Secret};

use super::{TicketReply, TicketRequest, decide_ticket, is_ticket_request};
use crate::{
    access::{Access, AllowedOrigin, PathPattern},
    admission::{Availability, BudgetExhausted},
    handshake::{BasicAuthMode, HandshakePolicy, Refusal},
    route::{Route, Routes},
    service::{Echo, Service},
};

const PASSWORD: (&str, &str) = ("Authorization", "Basic YWRtaW46MTIzNDU2");
const TICKET: (&str, &str) = (
    "Authorization",
    "Bearer wst1.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAamFuZQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
);

/// Returns a route with these additional origins.
fn route(path: &str, access: Access, origins: Option<&[&str]>) -> Route {
    let parse = |origin: &&str| origin.parse::<AllowedOrigin>().unwrap();
    Route {
        pattern: PathPattern::parse(path).unwrap().into(),
        access,
        allowed_origins: origins.map(|origins| origins.iter().map(parse).collect()),
        subprotocols: None,
        max_message_bytes: None,
        service: Service::Echo(Echo::new("")),
    }
}

fn policy(basic: BasicAuthMode) -> HandshakePolicy {
    let routes = vec![
        route("/", Access::Users, None),
        route(
            "/own",
            Access::Users,
            Some(&["https://own.example", "null"]),
        ),
        route("/guests", Access::Public, Some(&["https://guests.example"])),
    ];
    HandshakePolicy {
        allowed_origins: vec!["https://page.example".parse().unwrap()],
        basic,
        routes: Routes::new(routes).unwrap(),
        ..HandshakePolicy::default()
    }
}

fn head(method: Method, fields: &[(&str, &str)]) -> Parts {
    let mut request = Request::builder().method(method).uri("/ticket");
    if !fields.iter().any(|(name, _)| *name == "Host") {
        request = request.header("Host", "chat.example:5678");
    }
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

fn decide(
    method: Method,
    fields: &[(&str, &str)],
) -> (TicketReply, Result<TicketRequest, Refusal>) {
    let policy = policy(BasicAuthMode::Optional);
    decide_ticket(&head(method, fields), &policy, Availability::Open, Ok(()))
}

fn refusal(method: Method, fields: &[(&str, &str)]) -> Option<Refusal> {
    decide(method, fields).1.err()
}

fn field<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).map(|value| value.to_str().unwrap())
}

#[test]
fn path_is_compared_in_normal_form() {
    for (path, is_ticket) in [
        ("/ticket", true),
        ("/%74icket", true),
        ("/ticket?a=b", true),
        ("/ticket/", false),
        ("/tickets", false),
        ("/", false),
    ] {
        let request = Request::post(path).body(()).unwrap();
        let (head, ()) = request.into_parts();
        assert_eq!(is_ticket_request(&head), is_ticket, "{path}");
    }
}

#[test]
fn credentials_of_either_scheme_are_an_attempt() {
    for (credentials, is_ticket) in [(PASSWORD, false), (TICKET, true)] {
        match decide(Method::POST, &[credentials]).1 {
            Ok(TicketRequest::LogIn(attempt)) => {
                assert_eq!(matches!(attempt, Attempt::Ticket(_)), is_ticket);
                assert_eq!(matches!(attempt, Attempt::Credentials(_)), !is_ticket);
            }
            other => panic!("{other:?}"),
        }
    }
    for fields in [&[PASSWORD, TICKET][..], &[("Authorization", "Bearer x")]] {
        let request = decide(Method::POST, fields).1;
        assert!(
            matches!(request, Ok(TicketRequest::LogIn(Attempt::Malformed))),
            "{request:?}"
        );
    }
}

#[test]
fn refusals_have_the_order_of_a_handshake() {
    for (method, fields, expected) in [
        (Method::POST, &[("Host", "")][..], Refusal::BadHost),
        (
            Method::POST,
            &[("Origin", "https://page.example"), ("Origin", "null")],
            Refusal::DuplicateField,
        ),
        (
            Method::POST,
            &[("Content-Length", "1"), PASSWORD],
            Refusal::UnexpectedBody,
        ),
        (
            Method::POST,
            &[("Transfer-Encoding", "chunked")],
            Refusal::UnexpectedBody,
        ),
        (Method::GET, &[PASSWORD], Refusal::MethodNotAllowedPost),
        (
            Method::PUT,
            &[("Origin", "https://evil.example")],
            Refusal::MethodNotAllowedPost,
        ),
        (
            Method::POST,
            &[("Origin", "https://evil.example"), PASSWORD],
            Refusal::OriginNotAllowed,
        ),
        (
            Method::OPTIONS,
            &[("Origin", "https://evil.example")],
            Refusal::OriginNotAllowed,
        ),
        (Method::POST, &[], Refusal::NoCredentials),
    ] {
        assert_eq!(refusal(method, fields), Some(expected), "{fields:?}");
    }
    assert_eq!(
        refusal(Method::POST, &[("Content-Length", "0"), PASSWORD]),
        None
    );
    let off = policy(BasicAuthMode::Off);
    let (_, request) = decide_ticket(
        &head(Method::POST, &[PASSWORD]),
        &off,
        Availability::Open,
        Ok(()),
    );
    assert_eq!(request.unwrap_err(), Refusal::UnknownPath);
}

#[test]
fn busy_server_refuses_requests_but_no_preflight() {
    let origin = ("Origin", "https://page.example");
    for (availability, expected) in [
        (Availability::Full, Refusal::Full),
        (Availability::Draining, Refusal::Draining),
    ] {
        let policy = policy(BasicAuthMode::Optional);
        let decide = |method| {
            let head = head(method, &[origin, TICKET]);
            decide_ticket(&head, &policy, availability, Ok(()))
        };
        let (reply, request) = decide(Method::POST);
        let refusal = request.unwrap_err();
        assert_eq!(refusal, expected);
        // The page can read it.
        let response = reply.refusal(refusal, 5);
        let allowed = field(response.headers(), "access-control-allow-origin");
        assert_eq!(allowed, Some("https://page.example"));
        let (_, request) = decide(Method::OPTIONS);
        assert!(
            matches!(request, Ok(TicketRequest::Preflight)),
            "{request:?}"
        );
    }
}

#[test]
fn exhausted_budget_stops_passwords_but_no_ticket() {
    let policy = policy(BasicAuthMode::Optional);
    let retry_after = Duration::from_millis(2500);
    let budget = || Err(BudgetExhausted { retry_after });
    let decide = |fields: &[(&str, &str)]| {
        let head = head(Method::POST, fields);
        decide_ticket(&head, &policy, Availability::Open, budget()).1
    };
    for fields in [&[PASSWORD][..], &[], &[PASSWORD, TICKET]] {
        let refusal = decide(fields).unwrap_err();
        assert_eq!(refusal, Refusal::TooManyFailures { retry_after });
    }
    let request = decide(&[TICKET]);
    assert!(matches!(
        request,
        Ok(TicketRequest::LogIn(Attempt::Ticket(_)))
    ));
}

#[test]
fn only_pages_of_allowed_origins_may_read() {
    for (origin, allowed) in [
        (None, None),
        (Some("https://page.example"), Some("https://page.example")),
        (
            Some("HTTPS://Page.example:443"),
            Some("https://page.example"),
        ),
        // Of a route with a login.
        (Some("https://own.example"), Some("https://own.example")),
        (Some("null"), Some("null")),
        // The server's own.
        (
            Some("http://chat.example:5678"),
            Some("http://chat.example:5678"),
        ),
    ] {
        let origin = origin.map(|origin| ("Origin", origin));
        let fields: Vec<_> = origin.into_iter().collect();
        for method in [Method::POST, Method::OPTIONS] {
            let (reply, _) = decide(method, &fields);
            let secret = Secret::new("wst1.x");
            for response in [
                reply.preflight(),
                reply.refusal(Refusal::WrongCredentials, 5),
                reply.ticket("jane", &secret, "2030-01-01T00:00:00Z".to_owned()),
            ] {
                assert_fields(&response, allowed);
            }
        }
    }
    for origin in [
        "https://evil.example",
        "https://page.example.evil.example",
        "http://page.example",
        // Of a route without a login.
        "https://guests.example",
        "file://",
        "https://page.example/",
        "*",
        "",
    ] {
        for method in [Method::POST, Method::OPTIONS] {
            let (reply, request) = decide(method, &[("Origin", origin), PASSWORD]);
            let refusal = request.unwrap_err();
            assert_eq!(refusal, Refusal::OriginNotAllowed, "{origin}");
            assert_fields(&reply.refusal(refusal, 5), None);
        }
    }
}

/// Asserts the fields of each response, with the origin that may read it.
#[track_caller]
fn assert_fields(response: &Response<String>, origin: Option<&str>) {
    let headers = response.headers();
    assert_eq!(field(headers, "access-control-allow-origin"), origin);
    let exposed = origin.map(|_| "Date, Retry-After");
    assert_eq!(field(headers, "access-control-expose-headers"), exposed);
    assert_eq!(field(headers, "access-control-allow-credentials"), None);
    for (name, value) in [
        ("vary", "Origin"),
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
        ("connection", "close"),
    ] {
        assert_eq!(field(headers, name), Some(value), "{name}");
    }
}

#[test]
fn responses_have_status_and_json_line() {
    let (reply, _) = decide(Method::POST, &[]);
    let ticket = reply.ticket(
        "ja\"ne",
        &Secret::new("wst1.x"),
        "2030-01-01T00:00:00Z".to_owned(),
    );
    assert_eq!(ticket.status(), 200);
    assert_eq!(
        field(ticket.headers(), "content-type"),
        Some("application/json")
    );
    assert_eq!(
        ticket.body(),
        "{\"user\":\"ja\\\"ne\",\"ticket\":\"wst1.x\",\"expires\":\"2030-01-01T00:00:00Z\"}\n"
    );
    let preflight = reply.preflight();
    assert_eq!(
        (preflight.status().as_u16(), preflight.body().as_str()),
        (204, "")
    );
    for (name, value) in [
        ("allow", "POST, OPTIONS"),
        ("access-control-allow-methods", "POST"),
        ("access-control-allow-headers", "authorization"),
    ] {
        assert_eq!(field(preflight.headers(), name), Some(value), "{name}");
    }
    let throttled = Refusal::TooManyFailures {
        retry_after: Duration::from_millis(2500),
    };
    for (refusal, status, body, (name, value)) in [
        (
            throttled,
            429,
            "{\"error\":\"too many wrong logins from this address, try again later\",\"retry_after\":3}\n",
            ("retry-after", "3"),
        ),
        (
            Refusal::WrongCredentials,
            401,
            "{\"error\":\"the username or password is wrong\"}\n",
            (
                "www-authenticate",
                "Basic realm=\"ws-server\", charset=\"UTF-8\"",
            ),
        ),
        (
            Refusal::MethodNotAllowedPost,
            405,
            "{\"error\":\"a ticket is requested by POST\"}\n",
            ("allow", "POST, OPTIONS"),
        ),
    ] {
        let response = reply.refusal(refusal, 5);
        assert_eq!(response.status(), status);
        assert_eq!(response.body(), body);
        assert_eq!(
            field(response.headers(), "content-type"),
            Some("application/json")
        );
        assert_eq!(field(response.headers(), name), Some(value));
    }
}
