//! The rate limit of control frames.

use std::num::NonZeroUsize;

use tokio::time::{Duration, Instant};

/// A token bucket: `per_second` events on average, and twice as many in a burst.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RateLimit {
    per_second: f64,
    tokens: f64,
    /// The time of the last update of `tokens`.
    at: Option<Instant>,
}

impl RateLimit {
    /// Creates a full bucket.
    pub(crate) fn new(per_second: NonZeroUsize) -> Self {
        // A rate above 2^32 a second is no limit in practice.
        let per_second = f64::from(u32::try_from(per_second.get()).unwrap_or(u32::MAX));
        Self {
            per_second,
            tokens: 2.0 * per_second,
            at: None,
        }
    }

    /// Counts one event. Returns false if it exceeds the limit.
    pub(crate) fn allows_one(&mut self, now: Instant) -> bool {
        let passed = self
            .at
            .map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        self.at = Some(now);
        self.tokens += passed.as_secs_f64() * self.per_second;
        self.tokens = self.tokens.min(2.0 * self.per_second);
        if self.tokens < 1.0 {
            return false;
        }
        self.tokens -= 1.0;
        true
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use tokio::time::{Duration, Instant};

    use super::RateLimit;

    #[test]
    fn burst_of_two_seconds_allowed_then_rate() {
        let mut limit = RateLimit::new(NonZeroUsize::new(100).unwrap());
        let start = Instant::now();
        assert_eq!((0..300).filter(|_| limit.allows_one(start)).count(), 200);
        let later = start + Duration::from_millis(500);
        assert_eq!((0..300).filter(|_| limit.allows_one(later)).count(), 50);
        let much_later = start + Duration::from_mins(1);
        assert_eq!(
            (0..300).filter(|_| limit.allows_one(much_later)).count(),
            200
        );
    }
}
