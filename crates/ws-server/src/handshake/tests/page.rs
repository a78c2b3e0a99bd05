//! Tests of the page and the requests of browsers.

use std::time::Duration;

use super::case_request::{
    CaseRequest, assert_refused, assert_upgrades, decide_with, policy, refusal, rooms,
};
use crate::{
    admission::{Availability, BudgetExhausted},
    handshake::{Decision, HandshakePolicy, Refusal, decide},
};

const BROWSER: (&str, &str) = (
    "Accept",
    "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8",
);

/// Returns the navigation request of a browser.
pub(super) fn browser_request() -> CaseRequest {
    CaseRequest::valid()
        .without("Upgrade")
        .set("Connection", "keep-alive")
        .without("Sec-WebSocket-Key")
        .without("Sec-WebSocket-Version")
        .with(BROWSER.0, BROWSER.1)
}

#[test]
fn browser_without_upgrade_gets_page() {
    let page = |head: CaseRequest| matches!(head.decide(), Decision::Page);
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
    assert_upgrades(&CaseRequest::valid().with(BROWSER.0, BROWSER.1));
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
