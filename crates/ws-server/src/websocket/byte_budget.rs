//! The bytes that a session may read and write in one poll of its task.
//!
//! Decoding, answering and writing a message of 1 MiB takes almost a millisecond. So a session handles
//! only few bytes on its own, and needs a turn for more. Turns are rare and long: many short ones would
//! evict the half of a message that is already read from the CPU cache.

use std::{
    cell::{Cell, RefCell},
    net::IpAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use crate::{
    peer::{Acquire, AddressGroup, FairSemaphore},
    process::turn::Turn,
};

/// The number of bytes that a session reads and writes in one poll without a turn.
pub(crate) const FREE_BYTES: usize = 64 * 1024;

/// The number of bytes that it reads and writes in a turn. With messages of 1 MiB this is 3 ms of work.
/// After as many bytes in shorter turns, a worker polls the I/O driver. A session that reads faster than its
/// peer sends has many short turns.
pub(crate) const TURN_BYTES: usize = 8 * 1024 * 1024;

/// The number of additional bytes to reach the end of a frame. Otherwise the part already read
/// leaves the CPU cache before the task runs again, which costs 5 % with messages of 1 MiB.
pub(crate) const GRACE_BYTES: usize = 1024 * 1024;

thread_local! {
    /// The budget of the task that this thread polls. Outside of [`InByteTurns`] there is none, and no
    /// limit.
    static CURRENT: RefCell<Option<ByteBudget>> = const { RefCell::new(None) };

    /// The number of bytes in the turns of this thread since one of them waited for the I/O driver.
    static UNPOLLED: Cell<usize> = const { Cell::new(0) };
}

/// The budget of a task in one poll.
#[derive(Debug)]
struct ByteBudget {
    turns: Arc<FairSemaphore>,
    turn: Option<Turn>,
    /// The remaining bytes. In a turn they include [`GRACE_BYTES`].
    left: usize,
    /// The task already waits for a turn.
    is_waiting: bool,
    /// The task needs another turn.
    is_exhausted: bool,
}

/// The turns of one session.
#[derive(Debug)]
pub(crate) struct ByteTurns {
    address: AddressGroup,
    wait: Option<Box<Acquire>>,
    /// The last turn was a long one. Then even the first bytes wait for the next turn, so that they stay in
    /// the CPU cache until the rest is read.
    is_bulk: bool,
    /// The semaphore, except during a poll.
    turns: Option<Arc<FairSemaphore>>,
}

/// A future whose reads and writes count as those of a session.
#[derive(Debug)]
pub(crate) struct InByteTurns<'a, F> {
    turns: &'a mut ByteTurns,
    future: F,
}

/// Returns the number of bytes that the current task may read or write now, of which `rest` complete a
/// frame. If it returns 0, the task is woken for its next turn.
pub(crate) fn room(rest: usize) -> usize {
    CURRENT.with_borrow_mut(|current| {
        current
            .as_mut()
            .map_or(usize::MAX, |budget| budget.room(rest))
    })
}

/// Counts bytes that the current task has read or written.
pub(crate) fn spend(bytes: usize) {
    CURRENT.with_borrow_mut(|current| {
        if let Some(budget) = current {
            budget.left = budget.left.saturating_sub(bytes);
        }
    });
}

/// Ends a turn of this many bytes.
fn end_turn(turn: Turn, bytes: usize) {
    let unpolled = UNPOLLED.get() + bytes;
    if unpolled < TURN_BYTES {
        UNPOLLED.set(unpolled);
        turn.end_now();
    } else {
        UNPOLLED.set(0);
        drop(turn);
    }
}

/// Returns true if the current task must wait for its next turn to read or write more.
pub(crate) fn is_exhausted() -> bool {
    CURRENT.with_borrow(|current| current.as_ref().is_some_and(|budget| budget.is_exhausted))
}

impl ByteBudget {
    fn room(&mut self, rest: usize) -> usize {
        if self.turn.is_none() {
            if self.left > 0 && rest <= self.left {
                return self.left;
            }
            if !self.is_waiting && !self.is_exhausted {
                self.turn = self.turns.try_acquire().map(Turn::from);
            }
            if self.turn.is_none() {
                self.is_exhausted |= self.left == 0;
                return self.left;
            }
            self.left = TURN_BYTES + GRACE_BYTES;
        }
        // Not beyond the end of a frame: what is read beyond it is copied when the message is complete. With
        // messages of 1 MiB the allocator then returns memory to the system, for 60 page faults a message.
        let room = if rest > 0 {
            self.left.min(rest)
        } else {
            self.left.saturating_sub(GRACE_BYTES)
        };
        self.is_exhausted |= room == 0;
        room
    }
}

impl ByteTurns {
    /// Creates the turns of a session with this client address.
    pub(crate) fn new(turns: Arc<FairSemaphore>, address: IpAddr) -> Self {
        Self {
            address: AddressGroup::of(address),
            wait: None,
            is_bulk: false,
            turns: Some(turns),
        }
    }

    /// Counts the reads and writes of this future. Each poll has a new budget.
    pub(crate) fn run<F>(&mut self, future: F) -> InByteTurns<'_, F> {
        let turns = self;
        InByteTurns { turns, future }
    }

    /// Puts the budget of a new poll in force.
    fn begin_poll(&mut self, cx: &mut Context<'_>) {
        let granted = match &mut self.wait {
            Some(wait) => Pin::new(wait.as_mut()).poll(cx),
            None => Poll::Ready(None),
        };
        let is_waiting = granted.is_pending();
        let (turn, left) = match granted {
            Poll::Ready(Some(permit)) => (Some(permit.into()), TURN_BYTES + GRACE_BYTES),
            Poll::Ready(None) if !self.is_bulk => (None, FREE_BYTES),
            // A session that waits for a turn needs one for all its bytes.
            Poll::Ready(None) | Poll::Pending => (None, 0),
        };
        if !is_waiting {
            self.wait = None;
        }
        CURRENT.set(self.turns.take().map(|turns| ByteBudget {
            turns,
            turn,
            left,
            is_waiting,
            is_exhausted: false,
        }));
    }

    /// Ends the turn. Waits for another one if the task needs it.
    fn end_poll(&mut self, cx: &mut Context<'_>) {
        let Some(mut budget) = CURRENT.take() else {
            return;
        };
        if let Some(turn) = budget.turn.take() {
            let bytes = TURN_BYTES + GRACE_BYTES - budget.left;
            self.is_bulk = bytes > FREE_BYTES;
            end_turn(turn, bytes);
        }
        if !budget.is_exhausted {
            self.wait = None;
        } else if self.wait.is_none() {
            let mut wait = Box::new(budget.turns.acquire(self.address));
            if wait.poll_ready(cx).is_ready() {
                // Not at once: other tasks come first.
                cx.waker().wake_by_ref();
            }
            self.wait = Some(wait);
        }
        self.turns = Some(budget.turns);
    }
}

impl<F: Future + Unpin> Future for InByteTurns<'_, F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        this.turns.begin_poll(cx);
        let _in_force = InForce;
        let poll = Pin::new(&mut this.future).poll(cx);
        this.turns.end_poll(cx);
        poll
    }
}

/// The time in which a budget is in force on this thread. A panic ends it too.
struct InForce;

impl Drop for InForce {
    fn drop(&mut self) {
        CURRENT.take();
    }
}
