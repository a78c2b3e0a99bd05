//! The failure budget, compared with a model that keeps a list of all failures.

use std::{num::NonZeroUsize, time::Duration};

use proptest::{collection::vec, prelude::*};

use super::{BudgetExhausted, BudgetPolicy, FailureBudget, MAX_BUCKETS};
use crate::peer::AddressGroup;

const START: Duration = Duration::from_hours(1);

fn policy(max_failures: usize, decay: Duration) -> BudgetPolicy {
    BudgetPolicy {
        max_failures: NonZeroUsize::new(max_failures).unwrap(),
        decay,
    }
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn address(index: usize) -> AddressGroup {
    AddressGroup::of(std::net::Ipv4Addr::from(u32::try_from(index).unwrap()).into())
}

fn exhausted(retry_after: Duration) -> Result<(), BudgetExhausted> {
    Err(BudgetExhausted { retry_after })
}

/// Creates a budget with a low maximum of buckets.
fn small_budget(policy: BudgetPolicy, max_buckets: usize) -> FailureBudget {
    FailureBudget {
        max_buckets,
        ..FailureBudget::new(Some(policy))
    }
}

/// Returns the expected result of a check, from the times of one address's failures, in order.
fn expected(
    failures: &[Duration],
    policy: BudgetPolicy,
    now: Duration,
) -> Result<(), BudgetExhausted> {
    let interval = policy.decay.as_nanos();
    let (mut level, mut at) = (0, Duration::ZERO);
    for &failure in failures {
        level = interval + drained(level, at, failure);
        at = failure;
    }
    let capacity = interval * policy.max_failures.get() as u128;
    // An attempt needs room for its failure.
    let excess = (drained(level, at, now) + interval).saturating_sub(capacity);
    match Duration::from_nanos_u128(excess) {
        Duration::ZERO => Ok(()),
        retry_after => exhausted(retry_after),
    }
}

fn drained(level: u128, then: Duration, now: Duration) -> u128 {
    level.saturating_sub(now.saturating_sub(then).as_nanos())
}

#[test]
fn default_allows_20_then_one_each_three_seconds() {
    let mut budget = FailureBudget::new(Some(BudgetPolicy::DEFAULT));
    for _ in 0..20 {
        assert_eq!(budget.check(address(1), START), Ok(()));
        budget.record_failure(address(1), START);
    }
    assert_eq!(budget.check(address(1), START), exhausted(seconds(3)));
    assert_eq!(budget.check(address(2), START), Ok(()));
    let next = START + seconds(3);
    assert_eq!(budget.check(address(1), next), Ok(()));
    budget.record_failure(address(1), next);
    assert_eq!(budget.check(address(1), next), exhausted(seconds(3)));
    assert_eq!(budget.check(address(1), START + seconds(63)), Ok(()));
}

/// All are allowed, because none has failed at the time of its check.
#[test]
fn concurrent_failures_exceed_capacity_and_drain() {
    let mut budget = FailureBudget::new(Some(policy(2, seconds(1))));
    for _ in 0..5 {
        assert_eq!(budget.check(address(1), START), Ok(()));
    }
    for _ in 0..5 {
        budget.record_failure(address(1), START);
    }
    assert_eq!(budget.check(address(1), START), exhausted(seconds(4)));
}

#[test]
fn absent_policy_counts_no_failures() {
    let mut budget = FailureBudget::new(None);
    for _ in 0..100 {
        budget.record_failure(address(1), START);
        assert_eq!(budget.check(address(1), START), Ok(()));
    }
    budget.set_policy(Some(policy(1, seconds(1))));
    assert_eq!(budget.check(address(1), START), Ok(()));
}

#[test]
fn counted_failures_survive_policy_change() {
    let mut budget = FailureBudget::new(Some(policy(20, seconds(3))));
    for _ in 0..20 {
        budget.record_failure(address(1), START);
    }
    // Three have drained. The rate changes, then the capacity.
    let now = START + seconds(9);
    budget.set_policy(Some(policy(20, seconds(60))));
    assert_eq!(budget.check(address(1), now), Ok(()));
    budget.set_policy(Some(policy(10, seconds(60))));
    assert_eq!(budget.check(address(1), now), exhausted(seconds(8 * 60)));
    // While the budget is off, one drains at the rate of the last policy.
    budget.set_policy(None);
    assert_eq!(budget.check(address(1), now), Ok(()));
    let now = now + seconds(60);
    budget.set_policy(Some(policy(10, seconds(1))));
    assert_eq!(budget.check(address(1), now), exhausted(seconds(7)));
    budget.record_failure(address(1), now);
    assert_eq!(budget.check(address(1), now), exhausted(seconds(8)));
}

#[test]
fn policy_change_rounds_up() {
    let nanoseconds = Duration::from_nanos;
    let mut budget = FailureBudget::new(Some(policy(1, nanoseconds(3))));
    budget.record_failure(address(1), START);
    budget.set_policy(Some(policy(1, nanoseconds(2))));
    let now = START + nanoseconds(2);
    assert_eq!(budget.check(address(1), now), exhausted(nanoseconds(1)));
}

#[test]
fn bucket_count_bounded() {
    let mut budget = FailureBudget::new(Some(policy(1, seconds(3600))));
    for index in 0..=MAX_BUCKETS {
        budget.record_failure(address(index), START + Duration::from_nanos(index as u64));
    }
    assert_eq!(budget.empty_at.len(), MAX_BUCKETS);
    assert_eq!(budget.by_time.len(), MAX_BUCKETS);
    let now = START + seconds(1);
    assert_eq!(
        budget.check(address(0), now),
        Ok(()),
        "the emptiest bucket is dropped"
    );
    for index in [1, MAX_BUCKETS] {
        assert!(budget.check(address(index), now).is_err(), "{index}");
    }
}

/// A full table still stops an address that keeps guessing.
#[test]
fn new_address_counted_when_table_full() {
    let mut budget = small_budget(policy(3, seconds(1)), 2);
    for _ in 0..9 {
        budget.record_failure(address(1), START);
        budget.record_failure(address(2), START);
    }
    for _ in 0..3 {
        assert_eq!(budget.check(address(3), START), Ok(()));
        budget.record_failure(address(3), START);
    }
    assert_eq!(budget.check(address(3), START), exhausted(seconds(1)));
}

#[test]
fn failures_drop_empty_buckets() {
    let mut budget = FailureBudget::new(Some(policy(1, seconds(1))));
    for index in 0..10 {
        budget.record_failure(address(index), START);
    }
    for _ in 0..5 {
        budget.record_failure(address(10), START + seconds(1));
    }
    assert_eq!(budget.empty_at.len(), 1);
    assert_eq!(budget.by_time.len(), 1);
}

/// Pauses short enough that buckets are neither always empty nor always full.
fn pause() -> impl Strategy<Value = Duration> {
    prop_oneof![
        2 => Just(Duration::ZERO),
        4 => (0..3_000_u64).prop_map(Duration::from_millis),
        1 => (0..20_u64).prop_map(Duration::from_secs),
        1 => (0..5_u64).prop_map(Duration::from_nanos),
    ]
}

fn any_policy() -> impl Strategy<Value = BudgetPolicy> {
    (1..6_usize, 1..4_000_000_000_u64)
        .prop_map(|(failures, nanos)| policy(failures, Duration::from_nanos(nanos)))
}

/// Failures of a few addresses, in order of time.
fn failures() -> impl Strategy<Value = Vec<(AddressGroup, Duration)>> {
    vec((0..4_usize, pause()), 0..60).prop_map(|steps| {
        let mut now = START;
        let failure = |(index, pause)| {
            now += pause;
            (address(index), now)
        };
        steps.into_iter().map(failure).collect()
    })
}

/// Any duration, with frequent extremes.
fn any_duration() -> impl Strategy<Value = Duration> {
    prop_oneof![
        Just(Duration::ZERO),
        Just(Duration::from_nanos(1)),
        Just(Duration::MAX),
        any::<u64>().prop_map(Duration::from_nanos),
        any::<u64>().prop_map(Duration::from_secs),
    ]
}

proptest! {
    /// The model has the failures of one address only, so this also shows that addresses are
    /// independent.
    #[test]
    fn check_agrees_with_model_of_each_address(
        policy in any_policy(),
        failures in failures(),
        later in pause(),
    ) {
        let mut budget = FailureBudget::new(Some(policy));
        for (index, &(group, now)) in failures.iter().enumerate() {
            budget.record_failure(group, now);
            let now = failures.get(index + 1).map_or(now + later, |next| next.1);
            for group in (0..4).map(address) {
                let own = failures[..=index].iter().filter(|failure| failure.0 == group);
                let own: Vec<_> = own.map(|failure| failure.1).collect();
                prop_assert_eq!(budget.check(group, now), expected(&own, policy, now));
            }
        }
    }

    #[test]
    fn failures_in_any_window_bounded(
        policy in any_policy(),
        attempts in failures(),
    ) {
        let mut budget = FailureBudget::new(Some(policy));
        let mut allowed = Vec::new();
        for (_, now) in attempts {
            if budget.check(address(1), now).is_ok() {
                budget.record_failure(address(1), now);
                allowed.push(now);
            }
        }
        for (first, start) in allowed.iter().enumerate() {
            for (last, end) in allowed.iter().enumerate().skip(first) {
                let window = end.saturating_sub(*start).as_nanos();
                let drained = window / policy.decay.as_nanos();
                let most = policy.max_failures.get() as u128 + drained;
                prop_assert!((last - first + 1) as u128 <= most, "{:?}", allowed);
            }
        }
    }

    #[test]
    fn attempt_allowed_exactly_after_retry_after(
        policy in any_policy(),
        failures in failures(),
        later in pause(),
    ) {
        let mut budget = FailureBudget::new(Some(policy));
        for &(group, now) in &failures {
            budget.record_failure(group, now);
        }
        let now = failures.last().map_or(START, |last| last.1) + later;
        for group in (0..4).map(address) {
            if let Err(BudgetExhausted { retry_after }) = budget.check(group, now) {
                let nanosecond = Duration::from_nanos(1);
                let then = now + retry_after;
                let before = then.saturating_sub(nanosecond);
                prop_assert_eq!(budget.check(group, before), exhausted(nanosecond));
                prop_assert_eq!(budget.check(group, then), Ok(()));
                prop_assert_eq!(budget.check(group, then + later), Ok(()));
            }
        }
    }

    #[test]
    fn failure_never_shortens_retry_after(
        policy in any_policy(),
        failures in failures(),
    ) {
        let mut budget = FailureBudget::new(Some(policy));
        for (group, now) in failures {
            let before = budget.check(group, now).err().map(|spent| spent.retry_after);
            budget.record_failure(group, now);
            let after = budget.check(group, now).err().map(|spent| spent.retry_after);
            prop_assert!(before <= after, "{:?} {:?}", before, after);
        }
    }

    /// The model is a list that is searched from end to end.
    #[test]
    fn full_table_drops_emptiest_bucket(policy in any_policy(), failures in failures()) {
        let mut budget = small_budget(policy, 3);
        let mut table: Vec<(Duration, AddressGroup)> = Vec::new();
        for (group, now) in failures {
            let own = table.iter().position(|bucket| bucket.1 == group);
            let own = own.map_or(now, |index| table.remove(index).0);
            table.sort_unstable();
            if table.len() == 3 {
                table.remove(0);
            }
            table.push((own.max(now) + policy.decay, group));
            budget.record_failure(group, now);

            prop_assert_eq!(budget.empty_at.len(), budget.by_time.len());
            prop_assert!(budget.empty_at.len() <= 3);
            for &(empty_at, group) in &budget.by_time {
                prop_assert_eq!(budget.empty_at.get(&group), Some(&empty_at));
                prop_assert!(table.contains(&(empty_at, group)));
            }
            // An absent bucket was empty.
            for bucket in &table {
                prop_assert!(budget.by_time.contains(bucket) || bucket.0 <= now);
            }
        }
    }

    #[test]
    fn policy_change_keeps_failure_count(
        old in any_policy(),
        new in any_policy(),
        failures in 0..20_usize,
    ) {
        let mut budget = FailureBudget::new(Some(old));
        for _ in 0..failures {
            budget.record_failure(address(1), START);
        }
        budget.set_policy(Some(new));
        prop_assert_eq!(
            budget.check(address(1), START),
            expected(&vec![START; failures], new, START)
        );
    }

    #[test]
    fn arbitrary_times_and_policies_never_panic(
        steps in vec((0..4_usize, any_duration(), any::<Option<(usize, bool)>>()), 0..40),
        intervals in vec(any_duration(), 40),
    ) {
        let mut budget = small_budget(BudgetPolicy::DEFAULT, 2);
        for ((index, now, change), interval) in steps.into_iter().zip(intervals) {
            if let Some((failures, on)) = change {
                budget.set_policy(on.then(|| policy(failures.max(1), interval)));
            }
            let _ = budget.check(address(index), now);
            budget.record_failure(address(index), now);
            prop_assert_eq!(budget.empty_at.len(), budget.by_time.len());
        }
    }
}
