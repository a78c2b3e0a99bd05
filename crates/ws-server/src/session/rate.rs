//! How often something may happen.

use std::num::NonZeroUsize;

use tokio::time::{Duration, Instant};

/// A token bucket: so many a second on average, twice as many at once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RateLimit {
    per_second: f64,
    tokens: f64,
    /// When `tokens` was right.
    at: Option<Instant>,
}

impl RateLimit {
    /// A bucket that is full.
    pub(crate) fn new(per_second: NonZeroUsize) -> Self {
        // Above 2^32 a second there is no limit to speak of.
        let per_second = f64::from(u32::try_from(per_second.get()).unwrap_or(u32::MAX));
        Self {
            per_second,
            tokens: 2.0 * per_second,
            at: None,
        }
    }

    /// Counts one event. Returns false if it is one too many.
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
    fn allows_a_burst_of_two_seconds_and_then_the_rate() {
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
