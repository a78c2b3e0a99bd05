//! The times at which a drain closes sessions, and at which their clients come back.

use std::time::Duration;

use crate::limits::Limits;

/// The time from the end of a drain until the server accepts connections again, as a client is told. A
/// start takes much less.
const RESTART: Duration = Duration::from_secs(1);

const NANOS_PER_SECOND: u128 = Duration::from_secs(1).as_nanos();

/// The schedule of a drain. Sessions are closed one after the other at `return_per_second`, but within
/// half of the drain deadline: the other half is for their closing handshakes.
#[derive(Debug, Clone, Copy)]
pub(super) struct DrainPlan {
    sessions: usize,
    /// The time over which sessions are closed.
    closes: Duration,
    /// The time over which their clients come back.
    returns: Duration,
}

impl DrainPlan {
    /// Plans the drain of this number of sessions.
    pub(super) fn new(sessions: usize, limits: &Limits) -> Self {
        let count = u32::try_from(sessions).unwrap_or(u32::MAX);
        let per_second = u32::try_from(limits.return_per_second.get()).unwrap_or(u32::MAX);
        let returns = Duration::from_secs(1) * count / per_second;
        Self {
            sessions,
            closes: returns.min(limits.drain_deadline / 2),
            returns,
        }
    }

    /// Returns the time from the start of the drain to the close of this session, counted from zero.
    pub(super) fn close_after(&self, turn: usize) -> Duration {
        #[expect(
            clippy::cast_precision_loss,
            reason = "the number of sessions is far below 2^52"
        )]
        let part = turn as f64 / self.sessions.max(1) as f64;
        self.closes.mul_f64(part.min(1.0))
    }

    /// Returns the time from the close of this session until its client should come back, in whole
    /// seconds. `chance` is uniformly random from 0 to 1.
    pub(super) fn back_in(&self, turn: usize, chance: f64) -> u16 {
        let rest = self.closes.saturating_sub(self.close_after(turn));
        let wait = rest + RESTART + self.returns.mul_f64(chance.clamp(0.0, 1.0));
        let seconds = wait.as_nanos().div_ceil(NANOS_PER_SECOND);
        u16::try_from(seconds).unwrap_or(u16::MAX)
    }
}

#[cfg(test)]
mod tests {
    use std::{num::NonZeroUsize, time::Duration};

    use super::DrainPlan;
    use crate::limits::Limits;

    fn plan(sessions: usize) -> DrainPlan {
        let limits = Limits {
            drain_deadline: Duration::from_secs(10),
            return_per_second: NonZeroUsize::new(500).unwrap(),
            ..Limits::default()
        };
        DrainPlan::new(sessions, &limits)
    }

    #[test]
    fn few_sessions_are_closed_at_once() {
        let plan = plan(1);
        assert_eq!(plan.close_after(0), Duration::ZERO);
        assert_eq!((plan.back_in(0, 0.0), plan.back_in(0, 1.0)), (2, 2));
        // None is open, and a connection without a login is closed.
        assert_eq!(self::plan(0).back_in(0, 1.0), 1);
    }

    #[test]
    fn sessions_are_closed_at_the_rate_of_returns() {
        let plan = plan(1000);
        assert_eq!(plan.close_after(500), Duration::from_secs(1));
        assert_eq!(plan.close_after(999), Duration::from_millis(1998));
        for turn in 0..1000 {
            // After the last close and the restart, over two seconds.
            let closed = plan.close_after(turn).as_secs_f64();
            let first = closed + f64::from(plan.back_in(turn, 0.0));
            let last = closed + f64::from(plan.back_in(turn, 1.0));
            assert!((3.0..4.0).contains(&first), "{turn}: {first}");
            assert!((5.0..6.0).contains(&last), "{turn}: {last}");
        }
    }

    #[test]
    fn many_sessions_are_closed_within_half_the_deadline() {
        let plan = plan(10_000);
        let last = plan.close_after(9999);
        assert!((4.99..5.0).contains(&last.as_secs_f64()), "{last:?}");
        // 10,000 clients come back over 20 s.
        assert_eq!((plan.back_in(0, 0.0), plan.back_in(0, 1.0)), (6, 26));
        assert_eq!((plan.back_in(9999, 0.0), plan.back_in(9999, 1.0)), (2, 22));
        assert_eq!(self::plan(usize::MAX).back_in(0, 1.0), u16::MAX);
    }
}
