//! The failure budget of each address: a limit on failed logins over all its connections and all
//! login methods.
//!
//! The budget is a leaky bucket for each [`AddressGroup`]. A failure adds one, and the bucket drains
//! at a constant rate. An attempt is allowed while the bucket has room for its failure. A success
//! drains nothing; otherwise one known password would allow unlimited guesses at others.
//!
//! Concurrent attempts are checked before any of them has failed, so a bucket may exceed its
//! capacity. The excess is kept and drains like the rest.

use std::{
    collections::{BTreeSet, HashMap},
    num::NonZeroUsize,
    time::Duration,
};

use crate::peer::AddressGroup;

/// The maximum number of buckets. Together they take less than 12 MiB. A budget for each address
/// cannot stop an attacker with more addresses than this.
const MAX_BUCKETS: usize = 65_536;

/// The maximum number of empty buckets dropped with each failure. More than one, so that the table
/// shrinks after an attack; few, so that no failure waits for a scan of the whole table.
const DROPPED_PER_FAILURE: usize = 2;

/// The capacity and the drain rate of a failure budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BudgetPolicy {
    /// The number of failures that exhaust the budget.
    pub max_failures: NonZeroUsize,
    /// The time in which one failure drains.
    pub decay: Duration,
}

impl BudgetPolicy {
    /// The default: enough for the mistakes of an office behind one address, and 20 guesses a minute
    /// for an attacker.
    pub const DEFAULT: Self = Self {
        max_failures: NonZeroUsize::new(20).unwrap(),
        decay: Duration::from_secs(3),
    };

    /// Returns the longest drain time of a bucket that still has room for one failure.
    fn max_drain_time(&self) -> Duration {
        nanoseconds(
            self.decay
                .as_nanos()
                .saturating_mul(self.max_failures.get() as u128 - 1),
        )
    }
}

/// The failure budget is exhausted: no attempt is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BudgetExhausted {
    /// The time until the next attempt is allowed.
    pub retry_after: Duration,
}

/// The buckets of all addresses.
///
/// A bucket is stored as the time at which it will be empty. Times are durations since a start that
/// is the same for all calls.
#[derive(Debug)]
pub(crate) struct FailureBudget {
    policy: Option<BudgetPolicy>,
    /// The decay that the stored times are based on. It follows a changed policy at the next call,
    /// which supplies the current time.
    applied_decay: Duration,
    empty_at: HashMap<AddressGroup, Duration>,
    /// The buckets, ordered by the time at which they will be empty.
    by_time: BTreeSet<(Duration, AddressGroup)>,
    /// The maximum number of buckets: [`MAX_BUCKETS`], or fewer in tests.
    max_buckets: usize,
}

impl FailureBudget {
    /// Creates a budget without failures. Without a policy, none are counted.
    pub(crate) fn new(policy: Option<BudgetPolicy>) -> Self {
        Self {
            policy,
            applied_decay: policy.map_or(Duration::ZERO, |policy| policy.decay),
            empty_at: HashMap::new(),
            by_time: BTreeSet::new(),
            max_buckets: MAX_BUCKETS,
        }
    }

    /// Changes the policy. Counted failures stay counted, even across a time without a policy. They
    /// drain at the new rate from the next call on.
    pub(crate) fn set_policy(&mut self, policy: Option<BudgetPolicy>) {
        self.policy = policy;
    }

    /// Checks that the address may make an attempt.
    ///
    /// # Errors
    ///
    /// The budget is exhausted.
    pub(crate) fn check(
        &mut self,
        address: AddressGroup,
        now: Duration,
    ) -> Result<(), BudgetExhausted> {
        let Some(policy) = self.apply_policy(now) else {
            return Ok(());
        };
        let empty_at = self.empty_at.get(&address).copied().unwrap_or_default();
        let empty_in = empty_at.saturating_sub(now);
        match empty_in.saturating_sub(policy.max_drain_time()) {
            Duration::ZERO => Ok(()),
            retry_after => Err(BudgetExhausted { retry_after }),
        }
    }

    /// Counts a failed attempt, even beyond the capacity.
    pub(crate) fn record_failure(&mut self, address: AddressGroup, now: Duration) {
        let Some(policy) = self.apply_policy(now) else {
            return;
        };
        for _ in 0..DROPPED_PER_FAILURE {
            if let Some(&(empty_at, empty)) = self.by_time.first()
                && empty_at <= now
            {
                self.drop_bucket(empty);
            }
        }
        let empty_at = self.drop_bucket(address).unwrap_or_default();
        // Evict before the insertion. The new bucket is often the emptiest itself; evicted at once,
        // it would give an address unlimited failures while the table is full.
        while self.by_time.len() >= self.max_buckets
            && let Some(&(_, emptiest)) = self.by_time.first()
        {
            self.drop_bucket(emptiest);
        }
        let empty_at = empty_at.max(now).saturating_add(policy.decay);
        self.empty_at.insert(address, empty_at);
        self.by_time.insert((empty_at, address));
    }

    /// Returns the policy, after the stored times are scaled to its decay.
    fn apply_policy(&mut self, now: Duration) -> Option<BudgetPolicy> {
        let policy = self.policy?;
        if policy.decay != self.applied_decay {
            let (old, new) = (self.applied_decay.as_nanos(), policy.decay.as_nanos());
            for empty_at in self.empty_at.values_mut() {
                let empty_in = empty_at.saturating_sub(now).as_nanos();
                let empty_in = match old {
                    // A decay of zero leaves nothing to drain.
                    0 => 0,
                    old => empty_in.saturating_mul(new).div_ceil(old),
                };
                *empty_at = now.saturating_add(nanoseconds(empty_in));
            }
            let buckets = self.empty_at.iter();
            self.by_time = buckets
                .map(|(&address, &empty_at)| (empty_at, address))
                .collect();
            self.applied_decay = policy.decay;
        }
        Some(policy)
    }

    /// Removes a bucket, and returns the time at which it would have been empty.
    fn drop_bucket(&mut self, address: AddressGroup) -> Option<Duration> {
        let empty_at = self.empty_at.remove(&address)?;
        self.by_time.remove(&(empty_at, address));
        Some(empty_at)
    }
}

/// Converts nanoseconds to a duration, saturating at the maximum.
fn nanoseconds(count: u128) -> Duration {
    Duration::from_nanos_u128(count.min(Duration::MAX.as_nanos()))
}

#[cfg(test)]
#[path = "tests/failure_budget.rs"]
mod tests;
