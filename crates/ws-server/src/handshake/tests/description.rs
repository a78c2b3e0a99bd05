//! Tests of the description of a path.

use std::time::Duration;

use super::{
    case_request::{CaseRequest, assert_upgrades, decide_with, policy, refusal, rooms},
    page::browser_request,
};
use crate::{
    admission::{Availability, BudgetExhausted},
    handshake::{
        BasicAuthMode, Decision, HandshakePolicy, MessageKind, Refusal, RouteDescription,
        RouteLogin, decide,
    },
};

/// Returns a request for the description of a path.
fn description_request(target: &'static str) -> CaseRequest {
    browser_request()
        .target(target)
        .set("Accept", "application/json")
}

#[test]
fn description_names_login_messages_and_subprotocols() {
    use MessageKind::{Binary, Text};
    let chat = ["chat.v2", "chat"];
    let optional = BasicAuthMode::Optional;
    for (policy, target, basic, login, messages, subprotocols) in [
        (
            policy(),
            "/",
            optional,
            RouteLogin::Message,
            &[Text, Binary][..],
            &chat[..],
        ),
        (
            policy(),
            "/",
            BasicAuthMode::Off,
            RouteLogin::Message,
            &[Text, Binary],
            &chat,
        ),
        (
            policy(),
            "/",
            BasicAuthMode::Required,
            RouteLogin::Basic,
            &[Text, Binary],
            &chat,
        ),
        (
            rooms(),
            "/room/lobby",
            optional,
            RouteLogin::Message,
            &[Text],
            &chat,
        ),
        (
            rooms(),
            "/ops",
            BasicAuthMode::Required,
            RouteLogin::Basic,
            &[Text],
            &chat,
        ),
        (rooms(), "/public", optional, RouteLogin::None, &[Text], &[]),
        (
            rooms(),
            "/public",
            BasicAuthMode::Required,
            RouteLogin::None,
            &[Text],
            &[],
        ),
    ] {
        for (page, method) in [(true, "GET"), (false, "GET"), (true, "HEAD")] {
            let policy = HandshakePolicy {
                basic,
                page,
                ..policy.clone()
            };
            match decide_with(&policy, &description_request(target).method(method)) {
                Decision::Describe(description) => {
                    assert_eq!(description.login, login, "{target} {basic:?}");
                    assert_eq!(description.messages, messages, "{target}");
                    assert_eq!(description.subprotocols, subprotocols, "{target}");
                }
                other => panic!("{target} {basic:?}: {other:?}"),
            }
        }
    }
}

/// The keys and their values are a contract with other clients.
#[test]
fn description_response_is_json_that_is_not_stored() {
    let description = RouteDescription {
        login: RouteLogin::Message,
        messages: &[MessageKind::Text, MessageKind::Binary],
        subprotocols: vec!["chat".to_owned()],
    };
    let response = description.response();
    assert_eq!(response.status(), 200);
    for (name, value) in [
        ("content-type", "application/json"),
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
        ("vary", "Accept, Upgrade"),
        ("connection", "close"),
    ] {
        assert_eq!(response.headers()[name], value);
    }
    assert!(
        !response
            .headers()
            .contains_key("access-control-allow-origin")
    );
    assert_eq!(
        response.body(),
        "{\"login\":\"message\",\"messages\":[\"text\",\"binary\"],\"subprotocols\":[\"chat\"]}\n"
    );
    for (login, name) in [(RouteLogin::Basic, "basic"), (RouteLogin::None, "none")] {
        let body = RouteDescription {
            login,
            ..description.clone()
        }
        .response()
        .into_body();
        assert!(
            body.starts_with(&format!("{{\"login\":\"{name}\"")),
            "{body}"
        );
    }
}

#[test]
fn description_sent_only_if_json_is_named() {
    let described = |policy: &HandshakePolicy, accept| {
        let head = description_request("/").set("Accept", accept);
        matches!(decide_with(policy, &head), Decision::Describe(_))
    };
    let without_page = HandshakePolicy {
        page: false,
        ..policy()
    };
    for accept in [
        "application/json",
        "APPLICATION/JSON;q=0.1",
        "*/*, application/json",
    ] {
        assert!(described(&policy(), accept), "{accept}");
        assert!(described(&without_page, accept), "{accept}");
    }
    for accept in [
        "*/*",
        "application/*",
        "application/json;q=0",
        "application/json; q=0.000",
        "application/jsonx",
        "application/json+x",
        "",
    ] {
        assert!(!described(&policy(), accept), "{accept}");
    }
    // A browser's navigation that names both gets the page.
    for accept in [
        "application/json, text/html",
        "text/html;q=0.1, application/json",
    ] {
        assert!(!described(&policy(), accept), "{accept}");
        assert!(described(&without_page, accept), "{accept}");
    }
    assert!(described(&policy(), "text/html;q=0, application/json"));
    let head = description_request("/").with("Upgrade", "h2c");
    assert!(matches!(head.decide(), Decision::Describe(_)));
    assert_upgrades(&CaseRequest::valid().with("Accept", "application/json"));
}

#[test]
fn description_refused_as_the_handshake_would_be() {
    let retry_after = Duration::from_secs(1);
    let exhausted = Err(BudgetExhausted { retry_after });
    let open = (Availability::Open, Ok(()));
    let request = || description_request("/");
    for (head, (availability, budget), expected) in [
        (request().without("Host"), open, Refusal::NoHost),
        (
            request().with("Content-Length", "1"),
            open,
            Refusal::UnexpectedBody,
        ),
        (request().target("//"), open, Refusal::BadPath),
        (request(), (Availability::Full, Ok(())), Refusal::Full),
        (
            request(),
            (Availability::Draining, Ok(())),
            Refusal::Draining,
        ),
        (request().target("/nowhere"), open, Refusal::UnknownPath),
        (request().method("POST"), open, Refusal::MethodNotAllowed),
        (
            request().method("HEAD").with("Upgrade", "websocket"),
            open,
            Refusal::MethodNotAllowed,
        ),
        (
            request(),
            (Availability::Open, exhausted),
            Refusal::TooManyFailures { retry_after },
        ),
    ] {
        let decision = decide(&head.parts(), &policy(), availability, budget);
        assert_eq!(refusal(&decision), Some(expected));
    }
    // A page of another origin cannot read the response.
    let foreign = request().with("Origin", "https://evil.example.org");
    assert!(matches!(foreign.decide(), Decision::Describe(_)));
}
