//! The budget against a list of all failures, which is what it saves keeping.

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

fn who(index: usize) -> AddressGroup {
    AddressGroup::of(std::net::Ipv4Addr::from(u32::try_from(index).unwrap()).into())
}

fn spent(retry_after: Duration) -> Result<(), BudgetExhausted> {
    Err(BudgetExhausted { retry_after })
}

/// A budget that has few buckets.
fn small_budget(policy: BudgetPolicy, max_buckets: usize) -> FailureBudget {
    FailureBudget {
        max_buckets,
        ..FailureBudget::new(Some(policy))
    }
}

/// The same, from the times of one group's failures, in order.
fn look_at(
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
    let brim = interval * policy.max_failures.get() as u128;
    // A try needs room for its failure.
    let too_much = (drained(level, at, now) + interval).saturating_sub(brim);
    match Duration::from_nanos_u128(too_much) {
        Duration::ZERO => Ok(()),
        retry_after => spent(retry_after),
    }
}

fn drained(level: u128, then: Duration, now: Duration) -> u128 {
    level.saturating_sub(now.saturating_sub(then).as_nanos())
}

#[test]
fn twenty_failures_at_once_and_then_one_in_three_seconds() {
    let mut budget = FailureBudget::new(Some(BudgetPolicy::DEFAULT));
    for _ in 0..20 {
        assert_eq!(budget.check(who(1), START), Ok(()));
        budget.fail(who(1), START);
    }
    assert_eq!(budget.check(who(1), START), spent(seconds(3)));
    assert_eq!(budget.check(who(2), START), Ok(()));
    let next = START + seconds(3);
    assert_eq!(budget.check(who(1), next), Ok(()));
    budget.fail(who(1), next);
    assert_eq!(budget.check(who(1), next), spent(seconds(3)));
    assert_eq!(budget.check(who(1), START + seconds(63)), Ok(()));
}

/// All of them were allowed, because none had failed when they were looked at.
#[test]
fn tries_that_fail_together_are_a_debt_that_is_paid_back() {
    let mut budget = FailureBudget::new(Some(policy(2, seconds(1))));
    for _ in 0..5 {
        assert_eq!(budget.check(who(1), START), Ok(()));
    }
    for _ in 0..5 {
        budget.fail(who(1), START);
    }
    assert_eq!(budget.check(who(1), START), spent(seconds(4)));
}

#[test]
fn without_a_policy_nobody_spends_anything() {
    let mut budget = FailureBudget::new(None);
    for _ in 0..100 {
        budget.fail(who(1), START);
        assert_eq!(budget.check(who(1), START), Ok(()));
    }
    budget.set_policy(Some(policy(1, seconds(1))));
    assert_eq!(budget.check(who(1), START), Ok(()));
}

#[test]
fn what_was_counted_stays_counted_when_the_policy_changes() {
    let mut budget = FailureBudget::new(Some(policy(20, seconds(3))));
    for _ in 0..20 {
        budget.fail(who(1), START);
    }
    // Three are forgiven. The pace changes, and then more of them are too many.
    let now = START + seconds(9);
    budget.set_policy(Some(policy(20, seconds(60))));
    assert_eq!(budget.check(who(1), now), Ok(()));
    budget.set_policy(Some(policy(10, seconds(60))));
    assert_eq!(budget.check(who(1), now), spent(seconds(8 * 60)));
    // Another is forgiven while the budget is off, at the pace of the last policy.
    budget.set_policy(None);
    assert_eq!(budget.check(who(1), now), Ok(()));
    let now = now + seconds(60);
    budget.set_policy(Some(policy(10, seconds(1))));
    assert_eq!(budget.check(who(1), now), spent(seconds(7)));
    budget.fail(who(1), now);
    assert_eq!(budget.check(who(1), now), spent(seconds(8)));
}

#[test]
fn nothing_is_forgiven_by_rounding() {
    let nanoseconds = Duration::from_nanos;
    let mut budget = FailureBudget::new(Some(policy(1, nanoseconds(3))));
    budget.fail(who(1), START);
    budget.set_policy(Some(policy(1, nanoseconds(2))));
    let now = START + nanoseconds(2);
    assert_eq!(budget.check(who(1), now), spent(nanoseconds(1)));
}

#[test]
fn there_are_no_more_buckets_than_there_may_be() {
    let mut budget = FailureBudget::new(Some(policy(1, seconds(3600))));
    for index in 0..=MAX_BUCKETS {
        budget.fail(who(index), START + Duration::from_nanos(index as u64));
    }
    assert_eq!(budget.empty_at.len(), MAX_BUCKETS);
    assert_eq!(budget.by_moment.len(), MAX_BUCKETS);
    let now = START + seconds(1);
    assert_eq!(budget.check(who(0), now), Ok(()), "the emptiest is dropped");
    for index in [1, MAX_BUCKETS] {
        assert!(budget.check(who(index), now).is_err(), "{index}");
    }
}

/// One address that guesses on and on is stopped by a full table as well.
#[test]
fn whoever_comes_when_all_buckets_are_fuller_is_counted_nevertheless() {
    let mut budget = small_budget(policy(3, seconds(1)), 2);
    for _ in 0..9 {
        budget.fail(who(1), START);
        budget.fail(who(2), START);
    }
    for _ in 0..3 {
        assert_eq!(budget.check(who(3), START), Ok(()));
        budget.fail(who(3), START);
    }
    assert_eq!(budget.check(who(3), START), spent(seconds(1)));
}

#[test]
fn empty_buckets_are_dropped_as_failures_come() {
    let mut budget = FailureBudget::new(Some(policy(1, seconds(1))));
    for index in 0..10 {
        budget.fail(who(index), START);
    }
    for _ in 0..5 {
        budget.fail(who(10), START + seconds(1));
    }
    assert_eq!(budget.empty_at.len(), 1);
    assert_eq!(budget.by_moment.len(), 1);
}

/// Times that are close enough together for buckets to be neither always empty nor always full.
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

/// Failures of a few groups, in the order of their times.
fn failures() -> impl Strategy<Value = Vec<(AddressGroup, Duration)>> {
    vec((0..4_usize, pause()), 0..60).prop_map(|steps| {
        let mut now = START;
        let failure = |(index, pause)| {
            now += pause;
            (who(index), now)
        };
        steps.into_iter().map(failure).collect()
    })
}

/// Any duration, the extremes as likely as all others.
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
    /// Because the list has the failures of one group only, this also shows that no group's
    /// failures change the answer to another.
    #[test]
    fn agrees_with_a_list_of_the_failures_of_each_group(
        policy in any_policy(),
        failures in failures(),
        later in pause(),
    ) {
        let mut budget = FailureBudget::new(Some(policy));
        for (index, &(group, now)) in failures.iter().enumerate() {
            budget.fail(group, now);
            let now = failures.get(index + 1).map_or(now + later, |next| next.1);
            for group in (0..4).map(who) {
                let own = failures[..=index].iter().filter(|failure| failure.0 == group);
                let own: Vec<_> = own.map(|failure| failure.1).collect();
                prop_assert_eq!(budget.check(group, now), look_at(&own, policy, now));
            }
        }
    }

    #[test]
    fn no_window_has_more_failures_than_the_budget_and_what_is_forgiven_in_it(
        policy in any_policy(),
        tries in failures(),
    ) {
        let mut budget = FailureBudget::new(Some(policy));
        let mut allowed = Vec::new();
        for (_, now) in tries {
            if budget.check(who(1), now).is_ok() {
                budget.fail(who(1), now);
                allowed.push(now);
            }
        }
        for (first, start) in allowed.iter().enumerate() {
            for (last, end) in allowed.iter().enumerate().skip(first) {
                let window = end.saturating_sub(*start).as_nanos();
                let forgiven = window / policy.decay.as_nanos();
                let most = policy.max_failures.get() as u128 + forgiven;
                prop_assert!((last - first + 1) as u128 <= most, "{:?}", allowed);
            }
        }
    }

    #[test]
    fn there_is_a_try_at_the_very_moment_that_was_told_and_not_before(
        policy in any_policy(),
        failures in failures(),
        later in pause(),
    ) {
        let mut budget = FailureBudget::new(Some(policy));
        for &(group, now) in &failures {
            budget.fail(group, now);
        }
        let now = failures.last().map_or(START, |last| last.1) + later;
        for group in (0..4).map(who) {
            if let Err(BudgetExhausted { retry_after }) = budget.check(group, now) {
                let nanosecond = Duration::from_nanos(1);
                let then = now + retry_after;
                let before = then.saturating_sub(nanosecond);
                prop_assert_eq!(budget.check(group, before), spent(nanosecond));
                prop_assert_eq!(budget.check(group, then), Ok(()));
                prop_assert_eq!(budget.check(group, then + later), Ok(()));
            }
        }
    }

    #[test]
    fn a_failure_never_brings_the_next_try_nearer(
        policy in any_policy(),
        failures in failures(),
    ) {
        let mut budget = FailureBudget::new(Some(policy));
        for (group, now) in failures {
            let before = budget.check(group, now).err().map(|spent| spent.retry_after);
            budget.fail(group, now);
            let after = budget.check(group, now).err().map(|spent| spent.retry_after);
            prop_assert!(before <= after, "{:?} {:?}", before, after);
        }
    }

    /// The table is compared with one that is searched from end to end.
    #[test]
    fn a_full_table_drops_the_emptiest(policy in any_policy(), failures in failures()) {
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
            budget.fail(group, now);

            prop_assert_eq!(budget.empty_at.len(), budget.by_moment.len());
            prop_assert!(budget.empty_at.len() <= 3);
            for &(empty_at, group) in &budget.by_moment {
                prop_assert_eq!(budget.empty_at.get(&group), Some(&empty_at));
                prop_assert!(table.contains(&(empty_at, group)));
            }
            // What is not there was empty, as far as the budget knew.
            for bucket in &table {
                prop_assert!(budget.by_moment.contains(bucket) || bucket.0 <= now);
            }
        }
    }

    #[test]
    fn as_many_failures_are_counted_after_a_change_of_policy(
        old in any_policy(),
        new in any_policy(),
        failures in 0..20_usize,
    ) {
        let mut budget = FailureBudget::new(Some(old));
        for _ in 0..failures {
            budget.fail(who(1), START);
        }
        budget.set_policy(Some(new));
        prop_assert_eq!(
            budget.check(who(1), START),
            look_at(&vec![START; failures], new, START)
        );
    }

    #[test]
    fn no_time_and_no_policy_makes_it_panic(
        steps in vec((0..4_usize, any_duration(), any::<Option<(usize, bool)>>()), 0..40),
        intervals in vec(any_duration(), 40),
    ) {
        let mut budget = small_budget(BudgetPolicy::DEFAULT, 2);
        for ((index, now, change), interval) in steps.into_iter().zip(intervals) {
            if let Some((failures, on)) = change {
                budget.set_policy(on.then(|| policy(failures.max(1), interval)));
            }
            let _ = budget.check(who(index), now);
            budget.fail(who(index), now);
            prop_assert_eq!(budget.empty_at.len(), budget.by_moment.len());
        }
    }
}
