//! The request that each case modifies, and its policies.

use std::collections::BTreeSet;

use http::{Request, request::Parts};

use crate::{
    access::{Access, AllowedOrigin, Origin, PathPattern},
    admission::Availability,
    handshake::{BasicAuthMode, Decision, HandshakePolicy, Refusal, decide},
    route::{Route, Routes},
    service::{Room, Service},
};

/// A valid request that each case modifies.
pub(super) struct CaseRequest {
    pub(super) request_line: (&'static str, &'static str, http::Version),
    pub(super) fields: Vec<(&'static str, &'static str)>,
}

impl CaseRequest {
    pub(super) fn valid() -> Self {
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

    pub(super) fn method(mut self, method: &'static str) -> Self {
        self.request_line.0 = method;
        self
    }

    pub(super) fn target(mut self, target: &'static str) -> Self {
        self.request_line.1 = target;
        self
    }

    pub(super) fn version(mut self, version: http::Version) -> Self {
        self.request_line.2 = version;
        self
    }

    pub(super) fn without(mut self, name: &str) -> Self {
        self.fields.retain(|field| field.0 != name);
        self
    }

    pub(super) fn with(mut self, name: &'static str, value: &'static str) -> Self {
        self.fields.push((name, value));
        self
    }

    pub(super) fn set(self, name: &'static str, value: &'static str) -> Self {
        self.without(name).with(name, value)
    }

    pub(super) fn parts(&self) -> Parts {
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

    pub(super) fn decide(&self) -> Decision {
        decide(&self.parts(), &policy(), Availability::Open, Ok(()))
    }
}

pub(super) fn policy() -> HandshakePolicy {
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
pub(super) fn assert_upgrades(head: &CaseRequest) {
    match head.decide() {
        Decision::Upgrade(upgrade) => assert_eq!(upgrade.accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
        other => panic!("{other:?}"),
    }
}

/// Returns the refusal of a decision, if it is one.
pub(super) fn refusal(decision: &Decision) -> Option<Refusal> {
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
pub(super) fn assert_refused(cases: Vec<(CaseRequest, Refusal)>) {
    for (index, (head, refusal)) in cases.into_iter().enumerate() {
        assert_eq!(
            self::refusal(&head.decide()),
            Some(refusal),
            "case {index}: {:?}",
            head.fields
        );
    }
}

/// Returns a policy with a room and a public room, but no route at `/`.
pub(super) fn rooms() -> HandshakePolicy {
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

pub(super) fn decide_with(policy: &HandshakePolicy, head: &CaseRequest) -> Decision {
    decide(&head.parts(), policy, Availability::Open, Ok(()))
}
