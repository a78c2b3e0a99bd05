//! The verifier of all login methods.

use std::{
    net::IpAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use proto::{
    credentials::{Accounts, Identity, IssuedTicket},
    login::{Attempt, LoginVerdict},
    message::Credentials,
    password::HashMemory,
    ticket::Ticket,
    username::UserName,
};

use crate::{
    access::{LoginContext, LoginFailure, LoginMethod},
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
    /// The latest time of issue of a ticket, in seconds since 1970.
    latest_ticket: AtomicU64,
}

/// A pending login attempt.
#[derive(Debug)]
struct PendingAttempt {
    context: LoginContext,
    /// The user name in the attempt, if valid.
    name: Option<UserName>,
    /// The route of the login. There is none if only a ticket is requested.
    route: Option<Arc<Route>>,
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
                latest_ticket: AtomicU64::new(0),
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

    /// Verifies an attempt, and checks that the route admits its user, if there is one. The time of a
    /// verification is the same for every name and password. A rejected attempt counts against the
    /// budget of its address. A throttled or malformed attempt, or one at a full queue, is not hashed.
    ///
    /// A ticket is verified at once, without a worker. The budget neither stops it nor counts it: it
    /// cannot be guessed, and after a restart the tickets of honest clients may look forged.
    ///
    /// Cancel safe. Once hashing has started, the attempt is completed, counted and audited. An
    /// attempt that is still queued is dropped and not counted.
    pub(crate) async fn verify(
        &self,
        attempt: Attempt,
        context: LoginContext,
        route: Option<&Arc<Route>>,
    ) -> LoginVerdict {
        let route = route.map(Arc::clone);
        let checker = &self.checker;
        let (name, credentials) = match attempt {
            Attempt::Credentials(credentials) => {
                (Some(credentials.name.clone()), Some(credentials))
            }
            Attempt::Ticket(ticket) => {
                let context = LoginContext {
                    method: LoginMethod::Ticket,
                    ..context
                };
                let name = Some(ticket.user().clone());
                let pending = PendingAttempt {
                    context,
                    name,
                    route,
                };
                return checker.decide_by_ticket(&pending, &ticket);
            }
            Attempt::Malformed => (None, None),
        };
        let pending = PendingAttempt {
            context,
            name,
            route,
        };
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
            let back_in = self.back_in(Duration::ZERO);
            return checker.record_outcome(&pending, Err(LoginFailure::QueueFull { back_in }));
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
        if let Some(verdict) = verdict.await {
            return verdict;
        }
        let back_in = self.back_in(Duration::ZERO);
        checker.record_outcome(&pending, Err(LoginFailure::Internal { back_in }))
    }

    /// Issues a ticket for a user who is logged in. Returns `None` if the login is no longer valid.
    pub(crate) fn issue_ticket(
        &self,
        identity: &Identity,
        now: SystemTime,
    ) -> Option<IssuedTicket> {
        let issued = self.checker.current.load().issue_ticket(identity, now)?;
        let time = issued.issued.duration_since(UNIX_EPOCH).ok()?;
        let latest = &self.checker.latest_ticket;
        latest.fetch_max(time.as_secs(), Ordering::SeqCst);
        Some(issued)
    }

    /// Returns `now`, or the time of issue of the latest ticket if that is later: the clock may have
    /// been set back since.
    pub(crate) fn latest_ticket(&self, now: SystemTime) -> SystemTime {
        let latest = self.checker.latest_ticket.load(Ordering::SeqCst);
        now.max(UNIX_EPOCH + Duration::from_secs(latest))
    }

    /// Returns the time after which a refused client should come back, in seconds. It is random, so that
    /// the clients that are refused at once do not come back at once: from one second to twice the time
    /// that the hashing queue needs, or twice `least` if that is longer.
    pub(crate) fn back_in(&self, least: Duration) -> u16 {
        random_seconds(self.pool.needed_time().max(least), fastrand::f64())
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

/// Returns a whole number of seconds from one to twice `mean`. `chance` is uniformly random from 0 to 1.
fn random_seconds(mean: Duration, chance: f64) -> u16 {
    let most = (2.0 * mean.as_secs_f64()).max(1.0);
    let seconds = 1.0 + chance * (most - 1.0);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the value is clamped"
    )]
    let seconds = seconds.round().clamp(1.0, f64::from(u16::MAX)) as u16;
    seconds
}

impl PendingAttempt {
    /// Checks that the route admits the user.
    fn admit(&self, identity: Identity) -> Result<Identity, LoginFailure> {
        match &self.route {
            Some(route) if !route.access.admits_user(identity.user()) => {
                Err(LoginFailure::Forbidden)
            }
            Some(_) | None => Ok(identity),
        }
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
            Ok(identity) => pending.admit(identity),
            Err(error) => Err(error.into()),
        };
        self.record_outcome(pending, outcome)
    }

    /// Verifies a ticket against the settings in force.
    fn decide_by_ticket(&self, pending: &PendingAttempt, ticket: &Ticket) -> LoginVerdict {
        let verified = self.current.load().verify_ticket(ticket, SystemTime::now());
        let outcome = verified.and_then(|identity| pending.admit(identity));
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
                let is_charged = context.method != LoginMethod::Ticket;
                if is_charged && matches!(verdict, LoginVerdict::Rejected) {
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::random_seconds;

    #[test]
    fn wait_is_one_second_to_twice_the_mean() {
        for (mean, chance, seconds) in [
            (0, 0.0, 1),
            (0, 1.0, 1),
            (31, 1.0, 1),
            (1000, 0.0, 1),
            (1000, 1.0, 2),
            (5000, 0.0, 1),
            (5000, 0.5, 6),
            (5000, 1.0, 10),
            (u64::MAX, 1.0, u16::MAX),
        ] {
            let mean = Duration::from_millis(mean);
            assert_eq!(random_seconds(mean, chance), seconds, "{mean:?} {chance}");
        }
    }
}
