//! Table tests of each check of the decision.

use std::{collections::BTreeSet, time::Duration};

use http::{Request, request::Parts};
use proptest::prelude::*;
use proto::login::Attempt;

use crate::{
    access::{Access, AllowedOrigin, Origin, PathPattern},
    admission::{Availability, BudgetExhausted},
    handshake::{
        BasicAuthMode, Decision, HandshakePolicy, MessageKind, Refusal, RouteDescription,
        RouteLogin, decide,
    },
    route::{Route, Routes},
    service::{Room, Service},
};

/// A valid request that each case modifies.
struct Head {
    request_line: (&'static str, &'static str, http::Version),
    fields: Vec<(&'static str, &'static str)>,
}

impl Head {
    fn valid() -> Self {
        Self {
            request_line: ("GET", "/", http::Version::HTTP_11),
            fields: vec![
                ("Host", "server.example.com:5678"),
                ("Upgrade", "websocket"),
                ("Connection", "Upgrade"),
                ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
                ("Sec-WebSocket-Version", "13"),
            ],
        }
    }

    fn method(mut self, method: &'static str) -> Self {
        self.request_line.0 = method;
        self
    }

    fn target(mut self, target: &'static str) -> Self {
        self.request_line.1 = target;
        self
    }

    fn version(mut self, version: http::Version) -> Self {
        self.request_line.2 = version;
        self
    }

    fn without(mut self, name: &str) -> Self {
        self.fields.retain(|field| field.0 != name);
        self
    }

    fn with(mut self, name: &'static str, value: &'static str) -> Self {
        self.fields.push((name, value));
        self
    }

    fn set(self, name: &'static str, value: &'static str) -> Self {
        self.without(name).with(name, value)
    }

    fn parts(&self) -> Parts {
        let (method, target, version) = self.request_line;
        let mut request = Request::builder()
            .method(method)
            .uri(target)
            .version(version);
        for (name, value) in &self.fields {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn decide(&self) -> Decision {
        decide(&self.parts(), &policy(), Availability::Open, Ok(()))
    }
}

fn policy() -> HandshakePolicy {
    HandshakePolicy {
        allowed_origins: vec![AllowedOrigin::Of(
            Origin::parse("https://page.example.org").unwrap(),
        )],
        subprotocols: vec!["chat.v2".to_owned(), "chat".to_owned()],
        basic: BasicAuthMode::Optional,
        routes: Routes::echo(""),
        page: true,
    }
}

#[track_caller]
fn assert_upgrades(head: &Head) {
    match head.decide() {
        Decision::Upgrade(upgrade) => assert_eq!(upgrade.accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
        other => panic!("{other:?}"),
    }
}

/// Returns the refusal of a decision, if it is one.
fn refusal(decision: &Decision) -> Option<Refusal> {
    match decision {
        Decision::Refuse(refusal) => Some(*refusal),
        Decision::Upgrade(_)
        | Decision::Verify(..)
        | Decision::Publish(..)
        | Decision::Page
        | Decision::Describe(_) => None,
    }
}

#[track_caller]
fn assert_refused(cases: Vec<(Head, Refusal)>) {
    for (index, (head, refusal)) in cases.into_iter().enumerate() {
        assert_eq!(
            self::refusal(&head.decide()),
            Some(refusal),
            "case {index}: {:?}",
            head.fields
        );
    }
}

#[test]
fn valid_request_in_any_spelling_upgrades() {
    assert_upgrades(&Head::valid());
    assert_upgrades(&Head::valid().set("Upgrade", "h2c, WebSocket"));
    assert_upgrades(&Head::valid().set("Connection", "keep-alive, upgrade"));
    assert_upgrades(
        &Head::valid()
            .set("Connection", "keep-alive")
            .with("Connection", "UPGRADE"),
    );
    assert_upgrades(&Head::valid().set("Host", "[::1]:5678"));
    assert_upgrades(&Head::valid().set("Host", "localhost"));
    assert_upgrades(&Head::valid().set("Host", "localhost:"));
    assert_upgrades(&Head::valid().target("/?token=secret"));
    assert_upgrades(&Head::valid().target("http://SERVER.example.com:5678/"));
    assert_upgrades(&Head::valid().with("Content-Length", "0"));
    assert_upgrades(&Head::valid().with("Cookie", "a=b").with("Cookie", "c=d"));
    assert_upgrades(&Head::valid().with("Sec-WebSocket-Extensions", "permessage-deflate"));
}

#[test]
fn malformed_request_refused() {
    let valid = Head::valid;
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
    let valid = Head::valid;
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

const BROWSER: (&str, &str) = (
    "Accept",
    "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8",
);

/// Returns the navigation request of a browser.
fn browser_request() -> Head {
    Head::valid()
        .without("Upgrade")
        .set("Connection", "keep-alive")
        .without("Sec-WebSocket-Key")
        .without("Sec-WebSocket-Version")
        .with(BROWSER.0, BROWSER.1)
}

#[test]
fn browser_without_upgrade_gets_page() {
    let page = |head: Head| matches!(head.decide(), Decision::Page);
    assert!(page(browser_request()));
    assert!(page(browser_request().target("/?from=mail")));
    assert!(page(browser_request().method("HEAD")));
    // Row: curl --http2 got a 426.
    assert!(page(
        browser_request()
            .with("Upgrade", "h2c")
            .set("Connection", "Upgrade, HTTP2-Settings")
    ));
    assert!(page(
        browser_request().with("Origin", "https://evil.example.org")
    ));
    for accept in ["TEXT/HTML", "*/*, text/html;level=1", "text/html ; q=0.001"] {
        assert!(page(browser_request().set("Accept", accept)), "{accept}");
    }
    for accept in [
        "*/*",
        "text/*",
        "text/html;q=0",
        "text/html; Q=0.000",
        "text/htmlx",
        "",
    ] {
        assert!(!page(browser_request().set("Accept", accept)), "{accept}");
    }
    assert!(page(
        browser_request()
            .set("Accept", "application/json")
            .with("Accept", "text/html")
    ));
    let exhausted = Err(BudgetExhausted {
        retry_after: Duration::from_secs(1),
    });
    assert!(matches!(
        decide(
            &browser_request().parts(),
            &policy(),
            Availability::Open,
            exhausted
        ),
        Decision::Page
    ));
}

#[test]
fn other_browser_requests_decided_as_usual() {
    assert_refused(vec![
        (browser_request().without("Accept"), Refusal::NoUpgrade),
        (
            browser_request()
                .with("Upgrade", "h2c")
                .set("Accept", "*/*"),
            Refusal::NoUpgrade,
        ),
        (
            browser_request().with("Upgrade", "websocket"),
            Refusal::NoConnectionUpgrade,
        ),
        (
            browser_request().target("/favicon.ico"),
            Refusal::UnknownPath,
        ),
        (
            browser_request()
                .method("HEAD")
                .with("Upgrade", "websocket"),
            Refusal::MethodNotAllowed,
        ),
        (browser_request().method("POST"), Refusal::MethodNotAllowed),
        (browser_request().without("Host"), Refusal::NoHost),
        (
            browser_request().with("Content-Length", "1"),
            Refusal::UnexpectedBody,
        ),
    ]);
    assert_upgrades(&Head::valid().with(BROWSER.0, BROWSER.1));
    let full = decide(
        &browser_request().parts(),
        &policy(),
        Availability::Full,
        Ok(()),
    );
    assert_eq!(refusal(&full), Some(Refusal::Full));
    let without_page = HandshakePolicy {
        page: false,
        ..policy()
    };
    let switched_off = decide(
        &browser_request().parts(),
        &without_page,
        Availability::Open,
        Ok(()),
    );
    assert_eq!(refusal(&switched_off), Some(Refusal::NoUpgrade));
}

/// Returns a policy with a room and a public room, but no route at `/`.
fn rooms() -> HandshakePolicy {
    let room = |pattern: &str, access| Route {
        pattern: PathPattern::parse(pattern).unwrap().into(),
        access,
        allowed_origins: None,
        subprotocols: (pattern == "/public").then(Vec::new),
        max_message_bytes: None,
        service: Service::Room(Room::default()),
    };
    let routes = vec![
        room("/room/*", Access::Users),
        room("/ops", Access::Only(BTreeSet::new())),
        room("/public", Access::Public),
    ];
    HandshakePolicy {
        routes: Routes::new(routes).unwrap(),
        ..policy()
    }
}

fn decide_with(policy: &HandshakePolicy, head: &Head) -> Decision {
    decide(&head.parts(), policy, Availability::Open, Ok(()))
}

#[test]
fn page_served_at_root_and_paths_of_routes() {
    for (target, is_served) in [
        ("/", true),
        ("/room/lobby", true),
        ("/room/%6Cobby?from=mail", true),
        ("/ops", true),
        ("/public", true),
        ("/room/", false),
        ("/room/a/b", false),
        ("/favicon.ico", false),
    ] {
        for method in ["GET", "HEAD"] {
            let decision = decide_with(&rooms(), &browser_request().method(method).target(target));
            match decision {
                Decision::Page => assert!(is_served, "{target}"),
                other => {
                    assert!(!is_served, "{target}");
                    assert_eq!(refusal(&other), Some(Refusal::UnknownPath));
                }
            }
        }
    }
    let post = decide_with(&rooms(), &browser_request().method("PUT").target("/ops"));
    assert_eq!(refusal(&post), Some(Refusal::MethodNotAllowedGetPost));
}

/// Returns a request for the description of a path.
fn description_request(target: &'static str) -> Head {
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
    assert_upgrades(&Head::valid().with("Accept", "application/json"));
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

#[test]
fn origin_neither_own_nor_listed_refused() {
    for (host, origin) in [
        ("server.example.com:5678", "http://server.example.com:5678"),
        ("Server.Example.com:5678", "https://server.example.COM:5678"),
        ("server.example.com", "https://server.example.com"),
        ("server.example.com", "http://server.example.com:80"),
        ("server.example.com:443", "https://server.example.com"),
        ("server.example.com:5678", "https://page.example.org"),
        ("server.example.com:5678", "https://PAGE.example.org:443"),
    ] {
        assert_upgrades(&Head::valid().set("Host", host).with("Origin", origin));
    }
    let from = |origin| {
        (
            Head::valid().with("Origin", origin),
            Refusal::OriginNotAllowed,
        )
    };
    assert_refused(vec![
        from("https://evil.example.org"),
        from("http://page.example.org"),
        from("https://page.example.org.evil.example"),
        from("https://page.example.org:8443"),
        from("http://server.example.com"),
        from("ws://server.example.com:5678"),
        from("file://server.example.com:5678"),
        from("null"),
        from("file://"),
        from(""),
        from("not an origin"),
        from("https://page.example.org/"),
        from("ünï"),
    ]);
}

#[test]
fn null_and_file_origin_accepted_if_listed() {
    for origin in ["null", "file://"] {
        let head = Head::valid().with("Origin", origin).parts();
        let policy = HandshakePolicy {
            allowed_origins: vec![origin.parse().unwrap()],
            ..HandshakePolicy::default()
        };
        assert!(matches!(
            decide(&head, &policy, Availability::Open, Ok(())),
            Decision::Upgrade(_)
        ));
    }
}

#[test]
fn configured_and_offered_subprotocol_chosen() {
    for (offered, chosen) in [
        ("chat", Some("chat")),
        ("chat, chat.v2", Some("chat.v2")),
        ("superchat", None),
        ("CHAT", None),
    ] {
        match Head::valid()
            .with("Sec-WebSocket-Protocol", offered)
            .decide()
        {
            Decision::Upgrade(upgrade) => assert_eq!(upgrade.subprotocol.as_deref(), chosen),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn full_or_draining_server_refuses_valid_request() {
    for (availability, refusal) in [
        (Availability::Full, Refusal::Full),
        (Availability::Draining, Refusal::Draining),
    ] {
        for head in [
            Head::valid(),
            Head::valid().target("/nowhere"),
            Head::valid().method("POST"),
        ] {
            assert_eq!(
                self::refusal(&decide(&head.parts(), &policy(), availability, Ok(()))),
                Some(refusal)
            );
        }
        let malformed = Head::valid().without("Host").parts();
        assert_eq!(
            self::refusal(&decide(&malformed, &policy(), availability, Ok(()))),
            Some(Refusal::NoHost)
        );
    }
}

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

/// Returns the login attempt of a valid request with these additional fields.
fn attempt(
    fields: &[(&'static str, &'static str)],
    basic: BasicAuthMode,
) -> Result<Attempt, Decision> {
    let mut head = Head::valid();
    head.fields.extend(fields);
    let policy = HandshakePolicy { basic, ..policy() };
    match decide(&head.parts(), &policy, Availability::Open, Ok(())) {
        Decision::Verify(_, attempt) => Ok(attempt),
        other => Err(other),
    }
}

const ADMIN: (&str, &str) = ("Authorization", "Basic YWRtaW46MTIzNDU2");

#[test]
fn authorization_field_is_login_attempt() {
    for basic in [BasicAuthMode::Optional, BasicAuthMode::Required] {
        match attempt(&[ADMIN], basic) {
            Ok(Attempt::Credentials(credentials)) => {
                assert_eq!(credentials.line().expose(), "admin:123456");
            }
            other => panic!("{other:?}"),
        }
        for fields in [
            &[("Authorization", "Bearer YWRtaW46MTIzNDU2")][..],
            &[("Authorization", "")],
            &[("Authorization", "Basic admin:123456")],
            &[ADMIN, ADMIN],
            &[ADMIN, ("Authorization", "Bearer x")],
        ] {
            let attempt = attempt(fields, basic);
            assert!(matches!(attempt, Ok(Attempt::Malformed)), "{attempt:?}");
        }
    }
}

#[test]
fn basic_mode_requires_or_ignores_credentials() {
    assert!(matches!(
        attempt(&[], BasicAuthMode::Optional),
        Err(Decision::Upgrade(_))
    ));
    assert!(matches!(
        attempt(&[], BasicAuthMode::Required),
        Err(Decision::Refuse(Refusal::NoCredentials))
    ));
    assert!(matches!(
        attempt(&[ADMIN], BasicAuthMode::Off),
        Err(Decision::Upgrade(_))
    ));
}

#[test]
fn exhausted_budget_refused_before_credentials() {
    let retry_after = Duration::from_millis(2001);
    let exhausted = Err(BudgetExhausted { retry_after });
    for head in [Head::valid(), Head::valid().with(ADMIN.0, ADMIN.1)] {
        let decision = decide(&head.parts(), &policy(), Availability::Open, exhausted);
        assert_eq!(
            refusal(&decision),
            Some(Refusal::TooManyFailures { retry_after })
        );
    }
    let foreign = Head::valid().with("Origin", "https://evil.example.org");
    let decision = decide(&foreign.parts(), &policy(), Availability::Open, exhausted);
    assert_eq!(refusal(&decision), Some(Refusal::OriginNotAllowed));
}

#[test]
fn login_refusals_have_challenge_or_retry_after() {
    let retry_after = |millis| Refusal::TooManyFailures {
        retry_after: Duration::from_millis(millis),
    };
    for (refusal, status, field, value) in [
        (retry_after(1), 429, "retry-after", "1"),
        (retry_after(2001), 429, "retry-after", "3"),
        (retry_after(3000), 429, "retry-after", "3"),
        (Refusal::TooManyLogins, 503, "retry-after", "5"),
        (
            Refusal::NoCredentials,
            401,
            "www-authenticate",
            "Basic realm=\"ws-server\", charset=\"UTF-8\"",
        ),
        (
            Refusal::WrongCredentials,
            401,
            "www-authenticate",
            "Basic realm=\"ws-server\", charset=\"UTF-8\"",
        ),
    ] {
        let response = refusal.response(5);
        assert_eq!(response.status(), status);
        assert_eq!(response.headers()[field], value);
    }
}

proptest! {
    /// No request panics or upgrades without an accept value.
    #[test]
    fn arbitrary_head_decided(
        method in "[A-Z]{1,8}",
        target in prop_oneof![Just("/".to_owned()), "/[!-~&&[^ #<>\"{}|\\\\^`]]{0,12}"],
        fields in proptest::collection::vec(
            (
                prop_oneof![
                    Just("host"), Just("upgrade"), Just("connection"), Just("origin"),
                    Just("sec-websocket-key"), Just("sec-websocket-version"),
                    Just("sec-websocket-protocol"), Just("content-length"),
                ],
                prop_oneof![
                    Just("a".to_owned()), Just("websocket".to_owned()), Just("13".to_owned()),
                    Just("dGhlIHNhbXBsZSBub25jZQ==".to_owned()), "[ -~]{0,20}",
                ],
            ),
            0..12,
        ),
    ) {
        let mut request = Request::builder().method(method.as_str()).uri(target);
        for (name, value) in &fields {
            request = request.header(*name, value.as_str());
        }
        if let Ok(request) = request.body(()) {
            let decision = decide(&request.into_parts().0, &policy(), Availability::Open, Ok(()));
            if let Decision::Upgrade(upgrade) = decision {
                prop_assert_eq!(upgrade.accept.len(), 28);
            }
        }
    }
}
