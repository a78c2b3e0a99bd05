//! The bytes that the server holds for one connection, and their progress.

use std::sync::{
    Mutex, MutexGuard, OnceLock, PoisonError,
    atomic::{AtomicU8, Ordering::Relaxed},
};

use tokio::time::{Duration, Instant};

use crate::registry::budget::{BufferBudget, EvictionCause};

/// The bytes that a connection may hold without being counted. A connection that exchanges messages of
/// up to this length never touches the budget.
pub(crate) const FREE_BYTES: usize = 16 * 1024;

/// The steps in which bytes above [`FREE_BYTES`] are counted, and the bytes that are progress.
const STEP_BYTES: usize = 16 * 1024;

/// The time without progress after which a connection is stalled. It is that of a room's queue.
const STALL_TIME: Duration = Duration::from_secs(6);

/// The values of `demand`.
const NONE: u8 = 0;
const GIVE_BACK: u8 = 1;
const DROP: u8 = 2;

/// The bytes that the server holds for one connection. Only its own task reports them; any task may
/// read, or ask for them.
#[derive(Debug, Default)]
pub(crate) struct Holding {
    /// Allocated by the first report of more than [`FREE_BYTES`]: most connections never have one.
    state: OnceLock<Box<Mutex<State>>>,
    demand: AtomicU8,
}

#[derive(Debug, Default)]
struct State {
    /// The bytes that count for this connection alone, in whole steps.
    own: usize,
    /// The bytes of a text in the writer, which counts where it was published.
    shared: usize,
    /// The last progress, or the moment since which there are bytes.
    mark: Option<Mark>,
    /// The cause of the demand.
    cause: Option<EvictionCause>,
    /// The eviction was counted.
    is_counted: bool,
}

#[derive(Debug, Clone, Copy)]
struct Mark {
    at: Instant,
    /// The number of bytes that were read and written by then.
    moved: u64,
}

/// The bytes of a connection, as its task reports them.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HeldBytes {
    /// The bytes that only this connection holds.
    pub(crate) own: usize,
    /// The bytes of a text in the writer that other connections may hold, too.
    pub(crate) shared: usize,
}

/// The bytes on the side of a connection's backend, as its service reports them.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BackendBytes {
    /// The bytes that are held.
    pub(crate) held: usize,
    /// The number of bytes that were read from the backend and written to it. They are progress, too.
    pub(crate) moved: u64,
}

impl HeldBytes {
    /// Returns the sum.
    pub(crate) fn sum(self) -> usize {
        self.own + self.shared
    }
}

/// The bytes of a connection, as the search for one that must give them back sees them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Held {
    /// All bytes in the reader and the writer.
    pub(super) bytes: usize,
    /// The time since the last progress.
    pub(super) stalled_for: Duration,
}

impl Held {
    /// Returns true if the connection makes no progress.
    pub(super) fn is_stalled(self) -> bool {
        self.stalled_for >= STALL_TIME
    }

    /// Returns the place in the order in which connections are asked, the greatest first.
    pub(super) fn weight(self) -> (bool, u128) {
        let factor = if self.is_stalled() {
            1
        } else {
            self.stalled_for.as_micros()
        };
        (self.is_stalled(), self.bytes as u128 * factor)
    }

    /// Returns the cause for which the connection is asked.
    pub(super) fn cause(self) -> EvictionCause {
        if self.is_stalled() {
            EvictionCause::Stalled
        } else {
            EvictionCause::Slow
        }
    }
}

impl Holding {
    /// Reports the bytes of this moment, after `moved` bytes of the connection were read and written.
    pub(crate) fn report(&self, held: HeldBytes, moved: u64, budget: &BufferBudget) {
        let own = if held.own > FREE_BYTES {
            held.own.next_multiple_of(STEP_BYTES)
        } else {
            0
        };
        let is_free = held.sum() <= FREE_BYTES;
        if is_free && self.state.get().is_none() {
            return;
        }
        let mut state = self.state_or_new();
        if self.demand.load(Relaxed) == DROP {
            return;
        }
        if is_free {
            state.mark = None;
        } else if state
            .mark
            .is_none_or(|mark| moved >= mark.moved + STEP_BYTES as u64)
        {
            let at = Instant::now();
            state.mark = Some(Mark { at, moved });
        }
        state.shared = held.shared;
        self.set_own(&mut state, own, budget);
        if state.mark.is_none() {
            self.withdraw(&mut state, budget);
        }
    }

    /// Counts no bytes any more, because the connection has ended.
    pub(super) fn end(&self, budget: &BufferBudget) {
        let Some(mut state) = self.state() else {
            return;
        };
        if self.demand.load(Relaxed) == DROP {
            budget.sub_dropping(std::mem::take(&mut state.own));
        } else {
            self.set_own(&mut state, 0, budget);
        }
    }

    /// Returns the bytes and their progress. Returns `None` if there are none to ask for, or if the
    /// connection was asked already.
    pub(super) fn held(&self, queued: usize, now: Instant) -> Option<Held> {
        if self.demand.load(Relaxed) != NONE {
            return None;
        }
        let state = self.state()?;
        let bytes = state.own + state.shared + queued;
        let since = state.mark?.at;
        (bytes > FREE_BYTES).then(|| Held {
            bytes,
            stalled_for: now.saturating_duration_since(since),
        })
    }

    /// Asks the connection to give its bytes back, or to end.
    pub(super) fn demand(&self, cause: EvictionCause, budget: &BufferBudget) {
        let Some(mut state) = self.state() else {
            return;
        };
        // The bytes may have been given back meanwhile.
        if self.demand.load(Relaxed) == NONE && state.mark.is_some() {
            state.cause = Some(cause);
            budget.add_leaving(state.own);
            self.demand.store(GIVE_BACK, Relaxed);
        }
    }

    /// Returns the cause of a demand, if there is one.
    pub(crate) fn demanded(&self) -> Option<EvictionCause> {
        if self.demand.load(Relaxed) == NONE {
            return None;
        }
        self.state()?.cause
    }

    /// Withdraws a demand, because the bytes were given back.
    fn withdraw(&self, state: &mut State, budget: &BufferBudget) {
        if self.demand.load(Relaxed) == GIVE_BACK {
            state.cause = None;
            budget.sub_leaving(state.own);
            self.demand.store(NONE, Relaxed);
        }
    }

    /// Returns the bytes of a connection that was asked and has not given them back.
    pub(super) fn leaving(&self) -> usize {
        if self.demand.load(Relaxed) == GIVE_BACK {
            self.state().map_or(0, |state| state.own)
        } else {
            0
        }
    }

    /// Has the connection dropped at the next turn of its task.
    pub(super) fn drop_at_once(&self, budget: &BufferBudget) {
        let Some(state) = self.state() else {
            return;
        };
        // The bytes may have been given back meanwhile.
        if self.demand.load(Relaxed) != GIVE_BACK {
            return;
        }
        self.demand.store(DROP, Relaxed);
        budget.sub_leaving(state.own);
        budget.sub(state.own);
        budget.add_dropping(state.own);
        drop(state);
        self.count_eviction(EvictionCause::Closing, budget);
    }

    /// Counts the end of the connection on demand, once.
    pub(super) fn count_eviction(&self, cause: EvictionCause, budget: &BufferBudget) {
        if !std::mem::replace(&mut self.state_or_new().is_counted, true) {
            budget.count_eviction(cause);
        }
    }

    /// Returns true if the connection must be dropped at once.
    pub(crate) fn must_drop(&self) -> bool {
        self.demand.load(Relaxed) == DROP
    }

    fn set_own(&self, state: &mut State, own: usize, budget: &BufferBudget) {
        let before = std::mem::replace(&mut state.own, own);
        if own == before {
            return;
        }
        if self.demand.load(Relaxed) == GIVE_BACK {
            budget.add_leaving(own);
            budget.sub_leaving(before);
        }
        if own > before {
            budget.add(own - before);
        } else {
            budget.sub(before - own);
        }
    }

    /// Returns the state, if the connection has ever held bytes that count.
    fn state(&self) -> Option<MutexGuard<'_, State>> {
        self.state.get().map(|state| lock(state))
    }

    fn state_or_new(&self) -> MutexGuard<'_, State> {
        lock(self.state.get_or_init(Box::default))
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    // A panic while the lock was held cannot have left a number half written.
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
