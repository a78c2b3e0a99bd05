//! Tests of the origins, the subprotocols and the availability.

use super::case_request::{self, CaseRequest, assert_refused, assert_upgrades, policy};
use crate::{
    admission::Availability,
    handshake::{Decision, HandshakePolicy, Refusal, decide},
};

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
        assert_upgrades(
            &CaseRequest::valid()
                .set("Host", host)
                .with("Origin", origin),
        );
    }
    let from = |origin| {
        (
            CaseRequest::valid().with("Origin", origin),
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
        let head = CaseRequest::valid().with("Origin", origin).parts();
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
        match CaseRequest::valid()
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
            CaseRequest::valid(),
            CaseRequest::valid().target("/nowhere"),
            CaseRequest::valid().method("POST"),
        ] {
            assert_eq!(
                case_request::refusal(&decide(&head.parts(), &policy(), availability, Ok(()))),
                Some(refusal)
            );
        }
        let malformed = CaseRequest::valid().without("Host").parts();
        assert_eq!(
            case_request::refusal(&decide(&malformed, &policy(), availability, Ok(()))),
            Some(Refusal::NoHost)
        );
    }
}
