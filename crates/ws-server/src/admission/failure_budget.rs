//! How many logins an address may get wrong: one budget for all its connections, and for all ways
//! to log in.
//!
//! The budget is a leaky bucket for each [`AddressGroup`]. A failure adds one, time takes one out
//! again and again, and there is a next try only while the bucket has room for its failure. A
//! success takes nothing out: whoever knows one password could buy guesses at others with it.
//!
//! Several tries may be under way at the same time, each of them allowed before any of them failed.
//! So a bucket may rise above its brim by as many as there are. That debt is kept and paid back.

use std::{
    collections::{BTreeSet, HashMap},
    num::NonZeroUsize,
    time::Duration,
};

use crate::peer::AddressGroup;

/// How many buckets there are at most. All of them together take less than 12 MiB. Whoever has more
/// addresses than this to guess from is beyond a budget for each of them.
const MAX_BUCKETS: usize = 65_536;

/// How many buckets that have become empty are dropped with each failure. With more than one, the
/// table shrinks after an attack; with few, no failure waits for a clearance of the whole table.
const DROPPED_AT_ONCE: usize = 2;

/// How many logins an address may get wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BudgetPolicy {
    /// How many failures use the budget up.
    pub max_failures: NonZeroUsize,
    /// How long it takes until one failure is forgiven.
    pub decay: Duration,
}

impl BudgetPolicy {
    /// Room for the mistakes of a whole office, and 20 guesses a minute for an attacker.
    pub const DEFAULT: Self = Self {
        max_failures: NonZeroUsize::new(20).unwrap(),
        decay: Duration::from_secs(3),
    };

    /// How long a bucket may need to become empty if there is still room for one failure.
    fn longest_with_room(&self) -> Duration {
        nanoseconds(
            self.decay
                .as_nanos()
                .saturating_mul(self.max_failures.get() as u128 - 1),
        )
    }
}

/// There is no room for a further failure, so there is no further try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BudgetExhausted {
    /// How long it takes until there is a try again.
    pub retry_after: Duration,
}

/// The failures of all addresses that are not forgiven yet.
///
/// A bucket is known by the one moment at which it will be empty, if nothing is added until then.
/// Moments are durations since some start that is the same for all calls.
#[derive(Debug)]
pub(crate) struct FailureBudget {
    policy: Option<BudgetPolicy>,
    /// How long one of the failures in the buckets takes to be forgiven. It follows the policy at
    /// the first use after a change, because only then it is known how late it is.
    measure: Duration,
    empty_at: HashMap<AddressGroup, Duration>,
    /// The same buckets, the emptiest first.
    by_moment: BTreeSet<(Duration, AddressGroup)>,
    /// How many buckets there may be: [`MAX_BUCKETS`], and less in tests.
    max_buckets: usize,
}

impl FailureBudget {
    /// A budget that nobody has spent anything of. Without a policy, nobody ever does.
    pub(crate) fn new(policy: Option<BudgetPolicy>) -> Self {
        Self {
            policy,
            measure: policy.map_or(Duration::ZERO, |policy| policy.decay),
            empty_at: HashMap::new(),
            by_moment: BTreeSet::new(),
            max_buckets: MAX_BUCKETS,
        }
    }

    /// Changes the policy. The failures that are not forgiven yet stay as many as they are, even
    /// if there is no policy for a while, and are forgiven at the new pace from the next use on.
    pub(crate) fn set_policy(&mut self, policy: Option<BudgetPolicy>) {
        self.policy = policy;
    }

    /// Whether there may be a try.
    pub(crate) fn check(
        &mut self,
        who: AddressGroup,
        now: Duration,
    ) -> Result<(), BudgetExhausted> {
        let Some(policy) = self.policy_from(now) else {
            return Ok(());
        };
        let empty_at = self.empty_at.get(&who).copied().unwrap_or_default();
        let empty_in = empty_at.saturating_sub(now);
        match empty_in.saturating_sub(policy.longest_with_room()) {
            Duration::ZERO => Ok(()),
            retry_after => Err(BudgetExhausted { retry_after }),
        }
    }

    /// Counts a try that failed, whether or not there was room for it.
    pub(crate) fn fail(&mut self, who: AddressGroup, now: Duration) {
        let Some(policy) = self.policy_from(now) else {
            return;
        };
        for _ in 0..DROPPED_AT_ONCE {
            if let Some(&(empty_at, empty)) = self.by_moment.first()
                && empty_at <= now
            {
                self.drop_bucket(empty);
            }
        }
        let empty_at = self.drop_bucket(who).unwrap_or_default();
        // Room is made before the new bucket is there. It would often be the emptiest itself, and
        // whoever comes when the table is full could fail for ever.
        while self.by_moment.len() >= self.max_buckets
            && let Some(&(_, emptiest)) = self.by_moment.first()
        {
            self.drop_bucket(emptiest);
        }
        let empty_at = empty_at.max(now).saturating_add(policy.decay);
        self.empty_at.insert(who, empty_at);
        self.by_moment.insert((empty_at, who));
    }

    /// The policy, with the buckets measured by it.
    fn policy_from(&mut self, now: Duration) -> Option<BudgetPolicy> {
        let policy = self.policy?;
        if policy.decay != self.measure {
            let (old, new) = (self.measure.as_nanos(), policy.decay.as_nanos());
            for empty_at in self.empty_at.values_mut() {
                let empty_in = empty_at.saturating_sub(now).as_nanos();
                let empty_in = match old {
                    // Failures that are forgiven at once leave nothing to be measured.
                    0 => 0,
                    old => empty_in.saturating_mul(new).div_ceil(old),
                };
                *empty_at = now.saturating_add(nanoseconds(empty_in));
            }
            let buckets = self.empty_at.iter();
            self.by_moment = buckets.map(|(&who, &empty_at)| (empty_at, who)).collect();
            self.measure = policy.decay;
        }
        Some(policy)
    }

    /// Forgets about a bucket, and returns when it would have been empty.
    fn drop_bucket(&mut self, who: AddressGroup) -> Option<Duration> {
        let empty_at = self.empty_at.remove(&who)?;
        self.by_moment.remove(&(empty_at, who));
        Some(empty_at)
    }
}

/// So many nanoseconds, or the longest duration there is.
fn nanoseconds(count: u128) -> Duration {
    Duration::from_nanos_u128(count.min(Duration::MAX.as_nanos()))
}

#[cfg(test)]
#[path = "tests/failure_budget.rs"]
mod tests;
