//! The audit line of each login attempt.

use std::{
    collections::BTreeSet,
    mem,
    num::NonZeroUsize,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::FutureExt as _;
use proto::{
    credentials::Accounts,
    login::{Attempt, LoginVerdict},
    message::LoginCredentials,
};
use tokio::runtime::{Builder, Runtime};

use crate::{
    access::{Access, LoginContext, LoginMethod},
    config::Config,
    log::{LogFormat, Record},
    route::{Route, Routes},
    server::state::ServerState,
};

/// A hash of `123456`, at a cost for tests only.
const HASH: &str = "$argon2id$v=19$m=16,t=2,p=1$MDEyMzQ1Njc4OWFiY2RlZg$9AYZPrrEe5pf9K/MKawr04vd4JJNHatj3Dk4Fv9TC7w";

/// A verifier whose audit lines are recorded, on any thread.
struct Setup {
    runtime: Runtime,
    state: ServerState,
    record: Record,
    route: Arc<Route>,
}

impl Setup {
    /// Creates a verifier for `jane` and the expired `late`, with one worker and a queue of one
    /// login.
    fn new(password: &str, max_failures: usize) -> Self {
        let accounts = format!(
            "[[user]]\nname = \"jane\"\n{password}\n\
             [[user]]\nname = \"late\"\n{password}\nexpires = 1970-01-01T00:00:00Z"
        );
        let mut config = Config::default();
        config.login.max_failures_per_address = NonZeroUsize::new(max_failures);
        config.login.failure_decay = Duration::from_hours(1);
        config.login.hash_workers = Some(NonZeroUsize::MIN);
        config.login.max_queued_logins = NonZeroUsize::MIN;
        let record = Record::new(LogFormat::Text);
        let log = record.log();
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            // Until the end of the thread.
            .on_thread_start(move || mem::forget(tracing::dispatcher::set_default(&log)))
            .build()
            .unwrap();
        Self {
            runtime,
            state: ServerState::new(config, Accounts::from_toml(&accounts).unwrap()),
            record,
            route: Arc::clone(Routes::echo("").find("/").unwrap()),
        }
    }

    fn context(&self) -> LoginContext {
        LoginContext {
            address: [192, 0, 2, 1].into(),
            connection: self.state.registry.next_id(),
            method: LoginMethod::Message,
        }
    }

    fn verify(&self, line: &str) -> impl Future<Output = LoginVerdict> {
        let attempt = Attempt::from(LoginCredentials::parse(line));
        let verifier = &self.state.verifier;
        verifier.verify(attempt, self.context(), Some(&self.route))
    }

    fn verdict(&self, line: &str) -> LoginVerdict {
        let log = self.record.log();
        tracing::dispatcher::with_default(&log, || self.runtime.block_on(self.verify(line)))
    }

    /// Returns the audit lines since the last call, without the fields that are always equal.
    fn audited(&self, seen: &mut usize) -> Vec<String> {
        let text = self.record.text();
        let lines = text.lines().skip(*seen).map(|line| {
            let (_, event) = line.split_once(" event=").unwrap();
            let (event, rest) = event.split_once(" peer=192.0.2.1 ").unwrap();
            let (_, rest) = rest.split_once(" method=message ").unwrap();
            format!("{event} {rest}")
        });
        let lines: Vec<_> = lines.collect();
        *seen += lines.len();
        lines
    }
}

#[test]
fn each_outcome_audited_once_with_reason() {
    for password in [
        "password = \"123456\"",
        &format!("password_hash = \"{HASH}\""),
    ] {
        let mut setup = Setup::new(password, 4);
        let mut seen = 0;
        for (line, audited) in [
            ("jane:123456", "login_ok user=\"jane\""),
            ("jane:1", "login_failed user=\"jane\" reason=wrong_password"),
            ("late:1", "login_failed user=\"late\" reason=wrong_password"),
            ("late:123456", "login_failed user=\"late\" reason=expired"),
            ("jane 123456", "login_failed reason=malformed"),
            (
                "jane:123456",
                "login_failed user=\"jane\" reason=budget_spent",
            ),
        ] {
            setup.verdict(line);
            assert_eq!(setup.audited(&mut seen), [audited], "{line}");
        }
        assert!(
            setup
                .state
                .verifier
                .check_budget([192, 0, 2, 1].into())
                .is_err()
        );
        setup.state.verifier.set_budget(None);
        setup.verdict("joe:123456");
        let audited = setup.audited(&mut seen);
        let [unknown] = audited.as_slice() else {
            panic!("{audited:?}")
        };
        assert!(
            unknown.starts_with("login_failed user=\"unknown:"),
            "{unknown}"
        );
        assert!(unknown.ends_with(" reason=unknown_user"), "{unknown}");

        // Right credentials, on a route without access.
        let mut route = Route::clone(&setup.route);
        route.access = Access::Only(BTreeSet::new());
        setup.route = Arc::new(route);
        assert!(matches!(
            setup.verdict("jane:123456"),
            LoginVerdict::Forbidden
        ));
        let expected = ["login_failed user=\"jane\" reason=no_right"];
        assert_eq!(setup.audited(&mut seen), expected);
    }
}

#[test]
fn full_queue_audited() {
    let setup = Setup::new(&format!("password_hash = \"{HASH}\""), 4);
    let log = setup.record.log();
    let verdict = setup.runtime.block_on(async {
        let _busy = setup.state.verifier.acquire_worker().await;
        let mut waiting = Box::pin(setup.verify("jane:123456"));
        assert!((&mut waiting).now_or_never().is_none());
        let refused = Box::pin(setup.verify("jane:123456"));
        tracing::dispatcher::with_default(&log, || refused.now_or_never())
    });
    assert!(
        matches!(verdict, Some(LoginVerdict::Busy { .. })),
        "{verdict:?}"
    );
    let expected = ["login_failed user=\"jane\" reason=queue_full"];
    assert_eq!(setup.audited(&mut 0), expected);
}

/// The client has disconnected while its password was hashed.
#[test]
fn cancelled_hashing_audited() {
    // On a busy machine the hash may be complete before the first poll.
    let setup = loop {
        let setup = Setup::new(&format!("password_hash = \"{HASH}\""), 4);
        let verdict = setup
            .runtime
            .block_on(async { setup.verify("jane:1").now_or_never() });
        if verdict.is_none() {
            break setup;
        }
    };
    let start = Instant::now();
    while setup.record.text().is_empty() {
        assert!(
            start.elapsed() < Duration::from_secs(30),
            "the attempt is not audited"
        );
        std::thread::yield_now();
    }
    let expected = ["login_failed user=\"jane\" reason=wrong_password"];
    assert_eq!(setup.audited(&mut 0), expected);
}
