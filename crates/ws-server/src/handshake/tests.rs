//! Every row of the decision, by table.

use std::time::Duration;

use http::{Request, request::Parts};
use proptest::prelude::*;
use proto::login::Attempt;

use crate::{
    access::{AllowedOrigin, Origin},
    admission::{Availability, BudgetExhausted},
    handshake::{BasicAuthMode, Decision, HandshakePolicy, Refusal, decide},
    route::Routes,
};

/// A good request, changed as each case likes.
struct Head {
    request_line: (&'static str, &'static str, http::Version),
    fields: Vec<(&'static str, &'static str)>,
}

impl Head {
    fn good() -> Self {
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

/// The refusal that a request gets, if it gets one.
fn refusal(decision: &Decision) -> Option<Refusal> {
    match decision {
        Decision::Refuse(refusal) => Some(*refusal),
        Decision::Upgrade(_) | Decision::Verify(..) | Decision::Publish(..) | Decision::Page => {
            None
        }
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
fn upgrades_a_good_request_however_it_is_written() {
    assert_upgrades(&Head::good());
    assert_upgrades(&Head::good().set("Upgrade", "h2c, WebSocket"));
    assert_upgrades(&Head::good().set("Connection", "keep-alive, upgrade"));
    assert_upgrades(
        &Head::good()
            .set("Connection", "keep-alive")
            .with("Connection", "UPGRADE"),
    );
    assert_upgrades(&Head::good().set("Host", "[::1]:5678"));
    assert_upgrades(&Head::good().set("Host", "localhost"));
    assert_upgrades(&Head::good().set("Host", "localhost:"));
    assert_upgrades(&Head::good().target("/?token=secret"));
    assert_upgrades(&Head::good().target("http://SERVER.example.com:5678/"));
    assert_upgrades(&Head::good().with("Content-Length", "0"));
    assert_upgrades(&Head::good().with("Cookie", "a=b").with("Cookie", "c=d"));
    assert_upgrades(&Head::good().with("Sec-WebSocket-Extensions", "permessage-deflate"));
}

#[test]
fn refuses_what_is_malformed() {
    let good = Head::good;
    assert_refused(vec![
        (good().version(http::Version::HTTP_10), Refusal::HttpVersion),
        (good().version(http::Version::HTTP_2), Refusal::HttpVersion),
        (good().without("Host"), Refusal::NoHost),
        (
            good().with("Host", "server.example.com:5678"),
            Refusal::DuplicateField,
        ),
        (good().set("Host", ""), Refusal::BadHost),
        (good().set("Host", "server example.com"), Refusal::BadHost),
        (
            good().set("Host", "server.example.com:http"),
            Refusal::BadHost,
        ),
        (
            good().set("Host", "server.example.com:99999"),
            Refusal::BadHost,
        ),
        (
            good().set("Host", "server.example.com:+5678"),
            Refusal::BadHost,
        ),
        (good().set("Host", ":5678"), Refusal::BadHost),
        (good().set("Host", "[server]:5678"), Refusal::BadHost),
        (good().set("Host", "[::1%25eth0]"), Refusal::BadHost),
        (good().set("Host", "[]"), Refusal::BadHost),
        (good().set("Host", "server[]"), Refusal::BadHost),
        (
            good().set("Host", "user@server.example.com"),
            Refusal::BadHost,
        ),
        (good().set("Host", "server.example.com/"), Refusal::BadHost),
        (good().set("Host", "ünï.example.com"), Refusal::BadHost),
        (
            good().target("http://other.example.com/"),
            Refusal::BadRequestTarget,
        ),
        (
            good().target("http://server.example.com/"),
            Refusal::BadRequestTarget,
        ),
        (
            good().target("ftp://server.example.com:5678/"),
            Refusal::BadRequestTarget,
        ),
        (
            good().target("http://server.example.com:+5678/"),
            Refusal::BadRequestTarget,
        ),
        (
            good().target("http://user@server.example.com:5678/"),
            Refusal::BadRequestTarget,
        ),
        (
            good().method("OPTIONS").target("*"),
            Refusal::BadRequestTarget,
        ),
        (
            good().method("CONNECT").target("server.example.com:5678"),
            Refusal::BadRequestTarget,
        ),
        (
            good().with("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
            Refusal::DuplicateField,
        ),
        (
            good().with("Sec-WebSocket-Version", "13"),
            Refusal::DuplicateField,
        ),
        (
            good().with("Origin", "http://a").with("Origin", "http://a"),
            Refusal::DuplicateField,
        ),
        (good().with("Content-Length", "1"), Refusal::UnexpectedBody),
        (
            good().with("Transfer-Encoding", "chunked"),
            Refusal::UnexpectedBody,
        ),
    ]);
}

#[test]
fn refuses_what_is_not_a_handshake() {
    let good = Head::good;
    assert_refused(vec![
        (good().target("/chat"), Refusal::UnknownPath),
        (good().target("/chat").method("POST"), Refusal::UnknownPath),
        (good().target("//"), Refusal::UnknownPath),
        (good().method("POST"), Refusal::MethodNotAllowed),
        (
            good().method("HEAD").without("Upgrade"),
            Refusal::MethodNotAllowed,
        ),
        (good().without("Upgrade"), Refusal::NoUpgrade),
        (good().set("Upgrade", "websockets"), Refusal::NoUpgrade),
        (good().without("Connection"), Refusal::NoConnectionUpgrade),
        (
            good().set("Connection", "close"),
            Refusal::NoConnectionUpgrade,
        ),
        (
            good().without("Sec-WebSocket-Version"),
            Refusal::WebSocketVersion,
        ),
        (
            good().set("Sec-WebSocket-Version", "8"),
            Refusal::WebSocketVersion,
        ),
        (
            good().set("Sec-WebSocket-Version", "13, 8"),
            Refusal::WebSocketVersion,
        ),
        (good().without("Sec-WebSocket-Key"), Refusal::NoKey),
        (
            good().set("Sec-WebSocket-Key", "too short"),
            Refusal::BadKey,
        ),
        (
            good().set("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ"),
            Refusal::BadKey,
        ),
    ]);
}

const BROWSER: (&str, &str) = (
    "Accept",
    "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8",
);

/// What a browser sends that asks for a page.
fn of_a_browser() -> Head {
    Head::good()
        .without("Upgrade")
        .set("Connection", "keep-alive")
        .without("Sec-WebSocket-Key")
        .without("Sec-WebSocket-Version")
        .with(BROWSER.0, BROWSER.1)
}

#[test]
fn a_browser_that_asks_for_no_upgrade_gets_the_page() {
    let page = |head: Head| matches!(head.decide(), Decision::Page);
    assert!(page(of_a_browser()));
    assert!(page(of_a_browser().target("/?from=mail")));
    assert!(page(
        of_a_browser().with("Origin", "https://evil.example.org")
    ));
    for accept in ["TEXT/HTML", "*/*, text/html;level=1", "text/html ; q=0.001"] {
        assert!(page(of_a_browser().set("Accept", accept)), "{accept}");
    }
    for accept in [
        "*/*",
        "text/*",
        "text/html;q=0",
        "text/html; Q=0.000",
        "text/htmlx",
        "",
    ] {
        assert!(!page(of_a_browser().set("Accept", accept)), "{accept}");
    }
    assert!(page(
        of_a_browser()
            .set("Accept", "application/json")
            .with("Accept", "text/html")
    ));
    let spent = Err(BudgetExhausted {
        retry_after: Duration::from_secs(1),
    });
    assert!(matches!(
        decide(
            &of_a_browser().parts(),
            &policy(),
            Availability::Open,
            spent
        ),
        Decision::Page
    ));
}

#[test]
fn whatever_else_a_browser_does_is_answered_as_to_anybody() {
    assert_refused(vec![
        (of_a_browser().without("Accept"), Refusal::NoUpgrade),
        (of_a_browser().with("Upgrade", "h2c"), Refusal::NoUpgrade),
        (
            of_a_browser().with("Upgrade", "websocket"),
            Refusal::NoConnectionUpgrade,
        ),
        (of_a_browser().target("/favicon.ico"), Refusal::UnknownPath),
        (of_a_browser().method("HEAD"), Refusal::MethodNotAllowed),
        (of_a_browser().method("POST"), Refusal::MethodNotAllowed),
        (of_a_browser().without("Host"), Refusal::NoHost),
        (
            of_a_browser().with("Content-Length", "1"),
            Refusal::UnexpectedBody,
        ),
    ]);
    assert_upgrades(&Head::good().with(BROWSER.0, BROWSER.1));
    let full = decide(
        &of_a_browser().parts(),
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
        &of_a_browser().parts(),
        &without_page,
        Availability::Open,
        Ok(()),
    );
    assert_eq!(refusal(&switched_off), Some(Refusal::NoUpgrade));
}

#[test]
fn pages_of_other_origins_may_not_connect() {
    for (host, origin) in [
        ("server.example.com:5678", "http://server.example.com:5678"),
        ("Server.Example.com:5678", "https://server.example.COM:5678"),
        ("server.example.com", "https://server.example.com"),
        ("server.example.com", "http://server.example.com:80"),
        ("server.example.com:443", "https://server.example.com"),
        ("server.example.com:5678", "https://page.example.org"),
        ("server.example.com:5678", "https://PAGE.example.org:443"),
    ] {
        assert_upgrades(&Head::good().set("Host", host).with("Origin", origin));
    }
    let from = |origin| {
        (
            Head::good().with("Origin", origin),
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
        from(""),
        from("not an origin"),
        from("https://page.example.org/"),
        from("ünï"),
    ]);
}

#[test]
fn pages_without_an_origin_connect_only_where_that_is_listed() {
    let head = Head::good().with("Origin", "null").parts();
    let policy = HandshakePolicy {
        allowed_origins: vec![AllowedOrigin::Null],
        ..HandshakePolicy::default()
    };
    assert!(matches!(
        decide(&head, &policy, Availability::Open, Ok(())),
        Decision::Upgrade(_)
    ));
}

#[test]
fn only_a_configured_subprotocol_that_was_offered_is_chosen() {
    for (offered, chosen) in [
        ("chat", Some("chat")),
        ("chat, chat.v2", Some("chat.v2")),
        ("superchat", None),
        ("CHAT", None),
    ] {
        match Head::good()
            .with("Sec-WebSocket-Protocol", offered)
            .decide()
        {
            Decision::Upgrade(upgrade) => assert_eq!(upgrade.subprotocol.as_deref(), chosen),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_full_or_draining_server_says_so_to_whoever_is_well_formed() {
    for (availability, refusal) in [
        (Availability::Full, Refusal::Full),
        (Availability::Draining, Refusal::Draining),
    ] {
        for head in [
            Head::good(),
            Head::good().target("/nowhere"),
            Head::good().method("POST"),
        ] {
            assert_eq!(
                self::refusal(&decide(&head.parts(), &policy(), availability, Ok(()))),
                Some(refusal)
            );
        }
        let malformed = Head::good().without("Host").parts();
        assert_eq!(
            self::refusal(&decide(&malformed, &policy(), availability, Ok(()))),
            Some(Refusal::NoHost)
        );
    }
}

#[test]
fn refusals_carry_what_their_status_demands() {
    let field = |refusal: Refusal, name: &str| {
        let response = refusal.response();
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
        Some("GET")
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
fn a_refusal_can_be_written_without_an_http_library() {
    assert_eq!(
        String::from_utf8(Refusal::Draining.bytes()).unwrap(),
        "HTTP/1.1 503 Service Unavailable\r\n\
         content-type: text/plain; charset=utf-8\r\n\
         connection: close\r\n\
         retry-after: 5\r\n\
         content-length: 45\r\n\r\n\
         the server is shutting down, try again later\n"
    );
}

/// The try that comes with a good request that has these fields as well.
fn attempt(
    fields: &[(&'static str, &'static str)],
    basic: BasicAuthMode,
) -> Result<Attempt, Decision> {
    let mut head = Head::good();
    head.fields.extend(fields);
    let policy = HandshakePolicy { basic, ..policy() };
    match decide(&head.parts(), &policy, Availability::Open, Ok(())) {
        Decision::Verify(_, attempt) => Ok(attempt),
        other => Err(other),
    }
}

const ADMIN: (&str, &str) = ("Authorization", "Basic YWRtaW46MTIzNDU2");

#[test]
fn credentials_in_the_request_are_a_try_to_log_in() {
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
fn credentials_in_the_request_may_be_required_or_ignored() {
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
fn an_address_that_spent_its_budget_is_told_before_its_credentials_are_looked_at() {
    let retry_after = Duration::from_millis(2001);
    let spent = Err(BudgetExhausted { retry_after });
    for head in [Head::good(), Head::good().with(ADMIN.0, ADMIN.1)] {
        let decision = decide(&head.parts(), &policy(), Availability::Open, spent);
        assert_eq!(
            refusal(&decision),
            Some(Refusal::TooManyFailures { retry_after })
        );
    }
    let foreign = Head::good().with("Origin", "https://evil.example.org");
    let decision = decide(&foreign.parts(), &policy(), Availability::Open, spent);
    assert_eq!(refusal(&decision), Some(Refusal::OriginNotAllowed));
}

#[test]
fn refusals_of_a_login_say_how_and_when_to_come_back() {
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
        let response = refusal.response();
        assert_eq!(response.status(), status);
        assert_eq!(response.headers()[field], value);
    }
}

proptest! {
    /// No mix of fields makes it panic, or upgrade without a right accept value.
    #[test]
    fn any_head_is_decided(
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
