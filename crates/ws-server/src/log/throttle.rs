//! A limit on the rate of one kind of log line.

use std::{
    mem,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// A log line that is written at most once in an interval.
#[derive(Debug)]
pub(crate) struct Throttle {
    interval: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    last_logged: Option<Instant>,
    suppressed: u64,
}

impl Throttle {
    /// Creates a limit of one line in this interval.
    pub(crate) const fn new(interval: Duration) -> Self {
        Self {
            interval,
            state: Mutex::new(State {
                last_logged: None,
                suppressed: 0,
            }),
        }
    }

    /// Returns the number of suppressed lines if a line is due, for its field `more`. Otherwise this
    /// line counts as suppressed.
    pub(crate) fn due(&self, now: Instant) -> Option<u64> {
        // A panic while the lock was held cannot have left the state half changed.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = state
            .last_logged
            .is_none_or(|at| now.saturating_duration_since(at) >= self.interval);
        if is_due {
            state.last_logged = Some(now);
            Some(mem::take(&mut state.suppressed))
        } else {
            state.suppressed += 1;
            None
        }
    }
}

/// Returns the value of the field `more`, which is left out at zero.
pub(crate) fn more(suppressed: u64) -> Option<u64> {
    (suppressed > 0).then_some(suppressed)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::Throttle;

    #[test]
    fn line_due_once_in_interval_with_suppressed_count() {
        let (throttle, start) = (Throttle::new(Duration::from_secs(1)), Instant::now());
        let due = |milliseconds| throttle.due(start + Duration::from_millis(milliseconds));
        assert_eq!(due(0), Some(0));
        assert_eq!(due(0), None);
        assert_eq!(due(999), None);
        assert_eq!(due(1000), Some(2));
        assert_eq!(due(1500), None);
        assert_eq!(due(5000), Some(1));
    }
}
