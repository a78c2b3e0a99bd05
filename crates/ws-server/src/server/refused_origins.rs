//! The limit on log lines about refused origins.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// The minimum interval between two lines about one origin.
const INTERVAL: Duration = Duration::from_mins(1);

/// The maximum number of origins with a line in one interval. Any client can send any origin.
const MAX_ORIGINS: usize = 64;

/// The origins that were refused lately, and logged.
#[derive(Debug, Default)]
pub(crate) struct RefusedOrigins(Mutex<HashMap<Option<String>, Instant>>);

impl RefusedOrigins {
    /// Returns true if a line about this origin is due. `None` stands for all malformed ones.
    pub(crate) fn is_due(&self, origin: Option<&str>, now: Instant) -> bool {
        // A panic while the lock was held cannot have left the map half changed.
        let mut logged = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let origin = origin.map(str::to_owned);
        let is_recent = |at: Instant| now.saturating_duration_since(at) < INTERVAL;
        if logged.get(&origin).is_some_and(|at| is_recent(*at)) {
            return false;
        }
        if logged.len() >= MAX_ORIGINS {
            logged.retain(|_, at| is_recent(*at));
        }
        let has_room = logged.len() < MAX_ORIGINS;
        if has_room {
            logged.insert(origin, now);
        }
        has_room
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{MAX_ORIGINS, RefusedOrigins};

    #[test]
    fn line_due_once_a_minute_for_each_origin() {
        let (origins, start) = (RefusedOrigins::default(), Instant::now());
        let due = |origin, seconds| origins.is_due(origin, start + Duration::from_secs(seconds));
        assert!(due(Some("https://a.example"), 0));
        assert!(due(Some("https://b.example"), 1));
        assert!(due(None, 1));
        assert!(!due(Some("https://a.example"), 59));
        assert!(due(Some("https://a.example"), 60));
        assert!(!due(Some("https://b.example"), 60));
    }

    #[test]
    fn number_of_origins_in_a_minute_is_limited() {
        let (origins, start) = (RefusedOrigins::default(), Instant::now());
        let due = |seconds| {
            let now = start + Duration::from_secs(seconds);
            let names = (0..1000).map(|index| format!("https://{index}.example"));
            names.filter(|name| origins.is_due(Some(name), now)).count()
        };
        assert_eq!(due(0), MAX_ORIGINS);
        assert_eq!(due(59), 0);
        assert_eq!(due(60), MAX_ORIGINS);
    }
}
