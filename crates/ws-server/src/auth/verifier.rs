//! The verifier of all login methods.

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
    settings::CurrentSettings,
};

/// The verifier of credentials, limited by the failure budgets and the hashing pool.
#[derive(Debug)]
pub(crate) struct Verifier {
    checker: Arc<AttemptChecker>,
    pool: HashingPool,
}

/// The check of login attempts, and the failure budgets. Pending attempts share it, so that they
/// complete even if their caller is cancelled.
#[derive(Debug)]
struct AttemptChecker {
    current: Arc<CurrentSettings>,
    failures: Mutex<FailureBudget>,
    /// The start of the failure budgets' time.
    since: Instant,
    unverified: audit::UnverifiedLimiter,
    metrics: Arc<Metrics>,
}

/// A pending login attempt.
#[derive(Debug)]
struct PendingAttempt {
    context: LoginContext,
    /// The user name in the attempt, if valid.
    name: Option<UserName>,
    /// The route of the login.
    route: Arc<Route>,
}

impl Verifier {
    /// Creates a verifier for the accounts in force, without failures.
    pub(crate) fn new(
        current: Arc<CurrentSettings>,
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

    /// Changes the budget policy. Counted failures stay counted.
    pub(crate) fn set_budget(&self, budget: Option<BudgetPolicy>) {
        self.checker
            .with_failures(|failures, _| failures.set_policy(budget));
    }

    /// Checks that the failure budget of this address allows an attempt.
    ///
    /// # Errors
    ///
    /// The budget is exhausted.
    pub(crate) fn check_budget(&self, address: IpAddr) -> Result<(), BudgetExhausted> {
        self.checker.check_budget(address)
    }

    /// Verifies an attempt, and checks that the route admits its user. The time of a verification is
    /// the same for every name and password. A rejected attempt counts against the budget of its
    /// address. A throttled or malformed attempt, or one at a full queue, is not hashed.
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
            Attempt::Ticket(_) | Attempt::Malformed => (None, None),
        };
        let pending = PendingAttempt {
            context,
            name,
            route: Arc::clone(route),
        };
        let checker = &self.checker;
        if let Err(failure) = checker.check_budget_of(&pending) {
            return checker.record_outcome(&pending, Err(failure));
        }
        let Some(credentials) = credentials else {
            return checker.record_outcome(&pending, Err(LoginFailure::Malformed));
        };
        if checker.accounts().costs().len() == 0 {
            // Nothing is hashed, so no worker is needed.
            return checker.decide(&pending, &credentials, &mut HashMemory::default());
        }
        let address = AddressGroup::of(context.address);
        let Some(hash_slot) = self.pool.acquire(address).await else {
            return checker.record_outcome(&pending, Err(LoginFailure::QueueFull));
        };
        // Other attempts from this address may have failed meanwhile.
        if let Err(failure) = checker.check_budget_of(&pending) {
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

    /// Acquires a worker, for tests of a busy pool. Dropping the slot frees it.
    #[cfg(test)]
    pub(crate) async fn acquire_worker(&self) -> crate::auth::hashing::HashSlot {
        let address = AddressGroup::of(IpAddr::from([192, 0, 2, 99]));
        let slot = self.pool.acquire(address).await;
        slot.expect("the queue has a free slot")
    }
}

impl AttemptChecker {
    /// Checks that the failure budget of the attempt's address allows it.
    fn check_budget_of(&self, pending: &PendingAttempt) -> Result<(), LoginFailure> {
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

    /// Counts and audits the outcome, once for each attempt. Returns the verdict for the client.
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
                    let address = AddressGroup::of(context.address);
                    self.with_failures(|failures, now| failures.record_failure(address, now));
                }
                let name = name
                    .as_ref()
                    .map(|name| audit::Name::of(name, &self.accounts()));
                audit::login_failed(context, name.as_ref(), failure, &self.unverified);
                verdict
            }
        }
    }

    fn check_budget(&self, address: IpAddr) -> Result<(), BudgetExhausted> {
        let address = AddressGroup::of(address);
        self.with_failures(|failures, now| failures.check(address, now))
    }

    fn with_failures<T>(&self, f: impl FnOnce(&mut FailureBudget, Duration) -> T) -> T {
        // A panic while the lock was held cannot have left a bucket half filled.
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        f(&mut failures, self.since.elapsed())
    }

    fn accounts(&self) -> Arc<Accounts> {
        Arc::clone(&self.current.load().accounts)
    }
}
