//! Tests of the credentials in a request.

use std::time::Duration;

use http::Request;
use proptest::prelude::*;
use proto::login::Attempt;

use super::case_request::{CaseRequest, policy, refusal};
use crate::{
    admission::{Availability, BudgetExhausted},
    handshake::{BasicAuthMode, Decision, HandshakePolicy, Refusal, decide},
};

/// Returns the login attempt of a valid request with these additional fields.
fn attempt(
    fields: &[(&'static str, &'static str)],
    basic: BasicAuthMode,
) -> Result<Attempt, Decision> {
    let mut head = CaseRequest::valid();
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
    for head in [
        CaseRequest::valid(),
        CaseRequest::valid().with(ADMIN.0, ADMIN.1),
    ] {
        let decision = decide(&head.parts(), &policy(), Availability::Open, exhausted);
        assert_eq!(
            refusal(&decision),
            Some(Refusal::TooManyFailures { retry_after })
        );
    }
    let foreign = CaseRequest::valid().with("Origin", "https://evil.example.org");
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
