//! The connection slots of an admin address. If all are taken, the connection that has been idle the
//! longest gives way to a new one.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::{
    sync::Notify,
    time::{Duration, Instant, timeout_at},
};
use tokio_util::sync::CancellationToken;

/// The time for which an idle connection keeps its slot if another connection waits. A client on this
/// machine sends its request within microseconds, and reads a response within milliseconds.
const MIN_IDLE: Duration = Duration::from_millis(100);

/// The slots of one admin address.
#[derive(Debug)]
pub(super) struct Slots {
    max: usize,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    taken: Mutex<Vec<Arc<Mutex<SlotState>>>>,
    /// Notified when a slot becomes free or idle.
    changed: Notify,
}

/// The state of a taken slot.
#[derive(Debug)]
struct SlotState {
    /// The time since which no request is in progress. `None` during a request.
    idle_since: Option<Instant>,
    evicted: CancellationToken,
}

/// A taken slot. Drop frees it.
#[derive(Debug)]
pub(super) struct Slot {
    state: Arc<Mutex<SlotState>>,
    evicted: CancellationToken,
    shared: Arc<Shared>,
}

/// The condition for another attempt to take a slot.
enum Retry {
    /// A slot becomes free or idle.
    Changed,
    /// This time, at which a connection has been idle for [`MIN_IDLE`], or a change before it.
    At(Instant),
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Slots {
    /// Creates this number of free slots.
    pub(super) fn new(max: usize) -> Self {
        Self {
            max,
            shared: Arc::default(),
        }
    }

    /// Takes a slot for a new connection. If none is free, evicts the connection that has been idle the
    /// longest, once that is at least [`MIN_IDLE`], and waits until its slot is free.
    ///
    /// Cancel safe. One task at a time may wait.
    pub(super) async fn take(&self) -> Slot {
        loop {
            match self.try_take(Instant::now()) {
                Ok(slot) => return slot,
                Err(Retry::Changed) => self.shared.changed.notified().await,
                // At the time itself the next attempt evicts the connection.
                Err(Retry::At(time)) => {
                    let _ = timeout_at(time, self.shared.changed.notified()).await;
                }
            }
        }
    }

    fn try_take(&self, now: Instant) -> Result<Slot, Retry> {
        let mut taken = lock(&self.shared.taken);
        if taken.len() < self.max {
            let evicted = CancellationToken::new();
            let state = Arc::new(Mutex::new(SlotState {
                idle_since: Some(now),
                evicted: evicted.clone(),
            }));
            taken.push(Arc::clone(&state));
            return Ok(Slot {
                state,
                evicted,
                shared: Arc::clone(&self.shared),
            });
        }
        let mut oldest: Option<(Instant, CancellationToken)> = None;
        for state in taken.iter() {
            let state = lock(state);
            if state.evicted.is_cancelled() {
                // Its slot is free in a moment.
                return Err(Retry::Changed);
            }
            if let Some(since) = state.idle_since
                && oldest.as_ref().is_none_or(|(time, _)| since < *time)
            {
                oldest = Some((since, state.evicted.clone()));
            }
        }
        match oldest {
            None => Err(Retry::Changed),
            Some((since, _)) if now < since + MIN_IDLE => Err(Retry::At(since + MIN_IDLE)),
            Some((_, evicted)) => {
                evicted.cancel();
                Err(Retry::Changed)
            }
        }
    }
}

impl Slot {
    /// Records that a request is in progress, so that the connection is not evicted.
    pub(super) fn begin_request(&self) {
        lock(&self.state).idle_since = None;
    }

    /// Records that the response is ready.
    pub(super) fn end_request(&self) {
        lock(&self.state).idle_since = Some(Instant::now());
        self.shared.changed.notify_one();
    }

    /// Waits until the connection must give way to another one.
    ///
    /// Cancel safe.
    pub(super) async fn evicted(&self) {
        self.evicted.cancelled().await;
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        lock(&self.shared.taken).retain(|state| !Arc::ptr_eq(state, &self.state));
        self.shared.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::{Instant, advance, timeout};

    use super::{MIN_IDLE, Slot, Slots};

    async fn is_evicted(slot: &Slot) -> bool {
        timeout(Duration::ZERO, slot.evicted()).await.is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn longest_idle_connection_gives_way() {
        let slots = Slots::new(3);
        let busy = slots.take().await;
        busy.begin_request();
        advance(Duration::from_millis(1)).await;
        let oldest = slots.take().await;
        advance(Duration::from_millis(1)).await;
        let newer = slots.take().await;
        let start = Instant::now();
        let give_way = async {
            oldest.evicted().await;
            assert!(!is_evicted(&newer).await && !is_evicted(&busy).await);
            let waited = start.elapsed();
            drop(oldest);
            waited
        };
        let taking = timeout(Duration::from_mins(1), async {
            tokio::join!(slots.take(), give_way)
        });
        let (next, waited) = taking.await.expect("a slot becomes free");
        assert_eq!(waited + Duration::from_millis(1), MIN_IDLE);
        assert!(!is_evicted(&next).await && !is_evicted(&newer).await);
    }

    #[tokio::test(start_paused = true)]
    async fn busy_connections_keep_their_slots() {
        let slots = Slots::new(1);
        let busy = slots.take().await;
        busy.begin_request();
        let waiting = timeout(Duration::from_mins(1), slots.take()).await;
        assert!(waiting.is_err());
        busy.end_request();
        let give_way = async {
            busy.evicted().await;
            drop(busy);
        };
        let taking = timeout(Duration::from_mins(1), async {
            tokio::join!(slots.take(), give_way)
        });
        taking.await.expect("a slot becomes free");
    }
}
