//! The one verifier behind every way to log in.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use proto::{
    credentials::{Accounts, Identity},
    login::{Attempt, LoginVerdict},
    message::Credentials,
    password::HashMemory,
    username::UserName,
};

use crate::{
    access::{LoginContext, LoginFailure},
    admission::{BudgetExhausted, BudgetPolicy, FailureBudget},
    auth::hashing::{HashingPolicy, HashingPool, HashingStats},
    log::audit,
    metrics::Metrics,
    peer::AddressGroup,
    route::Route,
    settings::Current,
};

/// Checks credentials, a few at a time, for as long as an address has not failed too often.
#[derive(Debug)]
pub(crate) struct Verifier {
    checker: Arc<AttemptChecker>,
    pool: HashingPool,
}

/// The check of login attempts, and the failures of each address. Attempts under way share it, so
/// that they complete even if their caller is cancelled.
#[derive(Debug)]
struct AttemptChecker {
    current: Arc<Current>,
    failures: Mutex<FailureBudget>,
    /// What the moments of the failures are counted from.
    since: Instant,
    unverified: audit::UnverifiedLimiter,
    metrics: Arc<Metrics>,
}

/// A login attempt under way.
#[derive(Debug)]
struct PendingAttempt {
    context: LoginContext,
    /// The name in the attempt, if it is a valid one.
    name: Option<UserName>,
    /// The route that the login is for.
    route: Arc<Route>,
}

impl Verifier {
    /// Creates a verifier against the accounts in force, with no failures counted.
    pub(crate) fn new(
        current: Arc<Current>,
        budget: Option<BudgetPolicy>,
        hashing: HashingPolicy,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            checker: Arc::new(AttemptChecker {
                current,
                failures: Mutex::new(FailureBudget::new(budget)),
                since: Instant::now(),
                unverified: audit::UnverifiedLimiter::default(),
                metrics,
            }),
            pool: HashingPool::new(hashing),
        }
    }

    /// Changes the budget. What was counted stays counted.
    pub(crate) fn set_budget(&self, budget: Option<BudgetPolicy>) {
        self.checker
            .with_failures(|failures, _| failures.set_policy(budget));
    }

    /// Checks that the failure budget of this address allows an attempt.
    pub(crate) fn check_budget(&self, who: IpAddr) -> Result<(), BudgetExhausted> {
        self.checker.check_budget(who)
    }

    /// Verifies an attempt, and checks that the route admits its user. It takes the same time for
    /// every name and password. A wrong attempt counts against the budget of its address.
    ///
    /// Cancel safe. Once hashing has started, the attempt is completed, counted and audited. An
    /// attempt that is still queued is dropped and not counted.
    pub(crate) async fn verify(
        &self,
        attempt: Attempt,
        context: LoginContext,
        route: &Arc<Route>,
    ) -> LoginVerdict {
        let (name, credentials) = match attempt {
            Attempt::Credentials(credentials) => {
                (Some(credentials.name.clone()), Some(credentials))
            }
            Attempt::Malformed => (None, None),
        };
        let pending = PendingAttempt {
            context,
            name,
            route: Arc::clone(route),
        };
        let checker = &self.checker;
        if let Err(failure) = checker.admit(&pending) {
            return checker.record_outcome(&pending, Err(failure));
        }
        let Some(credentials) = credentials else {
            return checker.record_outcome(&pending, Err(LoginFailure::Malformed));
        };
        if checker.accounts().costs().len() == 0 {
            // Nothing is hashed, and no memory taken.
            return checker.decide(&pending, &credentials, &mut HashMemory::default());
        }
        let Some(slot) = self.pool.enter() else {
            return checker.record_outcome(&pending, Err(LoginFailure::QueueFull));
        };
        let hash_slot = slot.acquire().await;
        // While this one waited, others from this address may have failed.
        if let Err(failure) = checker.admit(&pending) {
            return checker.record_outcome(&pending, Err(failure));
        }
        let pending = Arc::new(pending);
        let verdict = {
            let (checker, pending) = (Arc::clone(checker), Arc::clone(&pending));
            hash_slot.compute(move |memory| checker.decide(&pending, &credentials, memory))
        };
        match verdict.await {
            Some(verdict) => verdict,
            None => checker.record_outcome(&pending, Err(LoginFailure::Internal)),
        }
    }

    /// Returns the state of the hashing pool.
    pub(crate) fn hashing_stats(&self) -> HashingStats {
        self.pool.stats()
    }

    /// Keeps a worker busy for as long as this is held.
    #[cfg(test)]
    pub(crate) async fn occupy_worker(&self) -> super::hashing::HashSlot {
        let slot = self.pool.enter().expect("there is a place in the queue");
        slot.acquire().await
    }
}

impl AttemptChecker {
    /// Checks that the failure budget allows the attempt.
    fn admit(&self, pending: &PendingAttempt) -> Result<(), LoginFailure> {
        let allowed = self.check_budget(pending.context.address);
        allowed.map_err(
            |BudgetExhausted { retry_after }| LoginFailure::BudgetExhausted { retry_after },
        )
    }

    /// Verifies the credentials against the accounts in force.
    fn decide(
        &self,
        pending: &PendingAttempt,
        credentials: &Credentials,
        memory: &mut HashMemory,
    ) -> LoginVerdict {
        let settings = self.current.load();
        let verified = settings
            .accounts
            .verify(credentials, SystemTime::now(), memory);
        let outcome = match verified {
            Ok(identity) if settings.is_revoked(identity.user()) => Err(LoginFailure::Revoked),
            Ok(identity) if !pending.route.access.admits_user(identity.user()) => {
                Err(LoginFailure::Forbidden)
            }
            Ok(identity) => Ok(identity),
            Err(error) => Err(error.into()),
        };
        self.record_outcome(pending, outcome)
    }

    /// Records the outcome, once for each attempt: counts it, audits it, and returns the verdict that
    /// the client learns.
    fn record_outcome(
        &self,
        pending: &PendingAttempt,
        outcome: Result<Identity, LoginFailure>,
    ) -> LoginVerdict {
        let PendingAttempt { context, name, .. } = pending;
        self.metrics
            .login(context.method, outcome.as_ref().err().copied());
        match outcome {
            Ok(identity) => {
                audit::login_ok(context, identity.user());
                LoginVerdict::Accepted(identity)
            }
            Err(failure) => {
                let verdict = failure.verdict();
                if matches!(verdict, LoginVerdict::Rejected) {
                    let who = AddressGroup::of(context.address);
                    self.with_failures(|failures, now| failures.fail(who, now));
                }
                let name = name
                    .as_ref()
                    .map(|name| audit::Name::of(name, &self.accounts()));
                audit::login_failed(context, name.as_ref(), failure, &self.unverified);
                verdict
            }
        }
    }

    fn check_budget(&self, who: IpAddr) -> Result<(), BudgetExhausted> {
        let who = AddressGroup::of(who);
        self.with_failures(|failures, now| failures.check(who, now))
    }

    fn with_failures<T>(&self, use_it: impl FnOnce(&mut FailureBudget, Duration) -> T) -> T {
        // A panic while the lock was held cannot have left a bucket half filled.
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        use_it(&mut failures, self.since.elapsed())
    }

    fn accounts(&self) -> Arc<Accounts> {
        Arc::clone(&self.current.load().accounts)
    }
}
