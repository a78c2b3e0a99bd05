//! The limits of a wait, and a time limit that the server cannot move.

use std::time::Duration;

use tokio::time::Instant;

/// The part of a pause that counts. A pause is a time in which the output queue is full, so that the
/// server is not read. It is as long as the reader of the output wants.
const COUNTED_PAUSE: Duration = Duration::from_secs(1);

/// A limit of the wait for an event.
#[derive(Debug, Clone, Copy)]
pub(super) enum Wait {
    /// No limit.
    Forever,
    /// Until there was no activity for this long, and at most until this time.
    Idle(Duration, Instant),
    /// Until this time, whatever happens before.
    Until(Instant),
}

/// A time limit that no message renews. Each pause of the reader counts for at most
/// [`COUNTED_PAUSE`], and no pause counts for nothing: a server that fills the queue again and again
/// reaches the limit.
#[derive(Debug)]
pub(super) struct EndLimit {
    at: Instant,
    paused_at: Option<Instant>,
}

impl EndLimit {
    /// Returns the limit after this time.
    pub(super) fn after(span: Duration) -> Self {
        Self {
            at: Instant::now() + span,
            paused_at: None,
        }
    }

    /// Returns the limit of the next wait. `has_room` is false during a pause.
    pub(super) fn next(&mut self, has_room: bool) -> Wait {
        let now = Instant::now();
        if !has_room {
            self.paused_at.get_or_insert(now);
            return Wait::Forever;
        }
        if let Some(paused_at) = self.paused_at.take() {
            self.at += (now - paused_at).saturating_sub(COUNTED_PAUSE);
        }
        Wait::Until(self.at)
    }

    /// Returns the limit without regard to pauses.
    pub(super) fn absolute(&self) -> Wait {
        Wait::Until(self.at)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::{Instant, advance};

    use super::{EndLimit, Wait};

    fn until(wait: Wait) -> Option<Instant> {
        match wait {
            Wait::Until(moment) => Some(moment),
            Wait::Forever | Wait::Idle(..) => None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn long_pause_counts_for_one_second() {
        let end = Instant::now() + Duration::from_secs(5);
        let mut limit = EndLimit::after(Duration::from_secs(5));
        assert_eq!(until(limit.next(true)), Some(end));
        for _ in 0..2 {
            assert_eq!(until(limit.next(false)), None);
            advance(Duration::from_secs(30)).await;
        }
        assert_eq!(until(limit.next(true)), Some(end + Duration::from_secs(59)));
        // A flood makes many short ones.
        for _ in 0..100 {
            limit.next(false);
            advance(Duration::from_millis(900)).await;
            limit.next(true);
        }
        assert_eq!(until(limit.next(true)), Some(end + Duration::from_secs(59)));
        assert_eq!(until(limit.absolute()), Some(end + Duration::from_secs(59)));
    }
}
