//! The one verifier behind every way to log in.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use proto::{
    credentials::{Accounts, Identity},
    login::{Attempt, Verdict},
    password::HashMemory,
};

use super::{
    budget::{BudgetPolicy, FailureBudget, Spent},
    hashing::{HashingPolicy, HashingPool, Workload},
};
use crate::{address::AddressGroup, route::Access, settings::Current};

/// Checks credentials, a few at a time, for as long as an address has not failed too often.
#[derive(Debug)]
pub(crate) struct Verifier {
    current: Arc<Current>,
    failures: Arc<Failures>,
    pool: HashingPool,
}

/// The failures of all addresses, on the clock.
#[derive(Debug)]
struct Failures {
    budget: Mutex<FailureBudget>,
    since: Instant,
}

impl Verifier {
    /// A verifier of whatever accounts there are at the moment. It has seen nobody yet.
    pub(crate) fn new(
        current: Arc<Current>,
        budget: Option<BudgetPolicy>,
        hashing: HashingPolicy,
    ) -> Self {
        Self {
            current,
            failures: Arc::new(Failures {
                budget: Mutex::new(FailureBudget::new(budget)),
                since: Instant::now(),
            }),
            pool: HashingPool::new(hashing),
        }
    }

    /// Changes the budget. What was counted stays counted.
    pub(crate) fn set_budget(&self, budget: Option<BudgetPolicy>) {
        self.failures
            .with(|failures, _| failures.set_policy(budget));
    }

    /// Whether this address may try to log in.
    pub(crate) fn look(&self, who: IpAddr) -> Result<(), Spent> {
        self.failures.look(AddressGroup::of(who))
    }

    /// Whether a try is right, and its user has the right to go where this access is demanded. It
    /// takes the same time for every name and password, and a wrong try counts against the budget of
    /// the address that it came from.
    ///
    /// Cancel safe: a wrong try that was begun to be hashed is counted nevertheless.
    pub(crate) async fn verify(&self, attempt: Attempt, who: IpAddr, access: &Access) -> Verdict {
        match self.verify_identity(attempt, who).await {
            Verdict::Right(identity) if !access.admits_user(identity.user()) => Verdict::Forbidden,
            verdict => verdict,
        }
    }

    async fn verify_identity(&self, attempt: Attempt, who: IpAddr) -> Verdict {
        let who = AddressGroup::of(who);
        if let Err(Spent { retry_after }) = self.failures.look(who) {
            return Verdict::BudgetSpent { retry_after };
        }
        let credentials = match attempt {
            Attempt::Credentials(credentials) => credentials,
            Attempt::Malformed => return self.failures.judge(who, None),
        };
        let accounts = self.accounts();
        if accounts.costs().len() == 0 {
            // Nothing is hashed, and no memory taken.
            let mut memory = HashMemory::default();
            let identity = accounts.verify(&credentials, SystemTime::now(), &mut memory);
            return self.failures.judge(who, identity);
        }
        let Some(place) = self.pool.enter() else {
            return Verdict::Busy;
        };
        let worker = place.worker().await;
        // While this one waited, others from this address may have failed, and the accounts may have
        // changed.
        if let Err(Spent { retry_after }) = self.failures.look(who) {
            return Verdict::BudgetSpent { retry_after };
        }
        let accounts = self.accounts();
        let failures = Arc::clone(&self.failures);
        let verdict = worker.compute(move |memory| {
            let identity = accounts.verify(&credentials, SystemTime::now(), memory);
            failures.judge(who, identity)
        });
        verdict.await.unwrap_or(Verdict::Busy)
    }

    /// What those do who hash.
    pub(crate) fn workload(&self) -> Workload {
        self.pool.workload()
    }

    /// The settings that it verifies by.
    pub(crate) fn current(&self) -> &Current {
        &self.current
    }

    /// Keeps a worker busy for as long as this is held.
    #[cfg(test)]
    pub(crate) async fn occupy_worker(&self) -> super::hashing::Worker {
        let place = self.pool.enter().expect("there is a place in the queue");
        place.worker().await
    }

    fn accounts(&self) -> Arc<Accounts> {
        Arc::clone(&self.current.load().accounts)
    }
}

impl Failures {
    fn with<T>(&self, use_it: impl FnOnce(&mut FailureBudget, Duration) -> T) -> T {
        // A panic while the lock was held cannot have left a bucket half filled.
        let mut budget = self.budget.lock().unwrap_or_else(PoisonError::into_inner);
        use_it(&mut budget, self.since.elapsed())
    }

    fn look(&self, who: AddressGroup) -> Result<(), Spent> {
        self.with(|budget, now| budget.look(who, now))
    }

    /// Turns what became of a try into its verdict, and counts it if it failed.
    fn judge(&self, who: AddressGroup, identity: Option<Identity>) -> Verdict {
        if let Some(identity) = identity {
            Verdict::Right(identity)
        } else {
            self.with(|budget, now| budget.fail(who, now));
            Verdict::Wrong
        }
    }
}
