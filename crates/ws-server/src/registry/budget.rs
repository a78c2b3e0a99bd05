//! The budget of bytes that the server holds for all peers together.
//!
//! Each session reports its own bytes in steps. A text that several queues share counts once, and so does
//! the copy of a request head. The budget is plain accounting: `connections.rs` chooses the connections that must give bytes back.

use std::{
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
};

use bytes::Bytes;

use crate::message::Text;

/// The value of `limit` without a limit.
const OFF: usize = usize::MAX;

/// The budget of bytes that the server holds for all peers together.
#[derive(Debug)]
pub struct BufferBudget {
    limit: AtomicUsize,
    /// All counted bytes.
    held: AtomicUsize,
    /// The bytes of connections that were asked to give them back.
    leaving: AtomicUsize,
    /// The bytes of connections that are dropped and whose tasks had no turn yet. They are not part of
    /// `held`.
    dropping: AtomicUsize,
    /// The bytes above the limit that no connection could give back when it was last tried. A retry
    /// waits until there are more.
    slack: AtomicUsize,
    /// The held bytes have passed the limit, and no task has looked for connections since.
    is_exceeded: AtomicBool,
    evictions: [AtomicU64; EvictionCause::ALL.len()],
}

/// The cause for which the budget ended a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EvictionCause {
    /// The connection made no progress.
    Stalled,
    /// All connections made progress, and this one held the most bytes for the longest.
    Slow,
    /// The connection was closing, and held the bytes of its queue.
    Closing,
}

impl EvictionCause {
    /// All causes, in the order of their values.
    pub(crate) const ALL: [Self; 3] = [Self::Stalled, Self::Slow, Self::Closing];

    /// Returns the label of the metric.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Stalled => "stalled",
            Self::Slow => "slow",
            Self::Closing => "closing",
        }
    }
}

/// The state of the budget at one moment.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BudgetStats {
    /// The counted bytes.
    pub(crate) held: usize,
    /// The evictions since the start, in the order of [`EvictionCause::ALL`].
    pub(crate) evictions: [u64; EvictionCause::ALL.len()],
}

/// Bytes that count until the last clone is dropped.
#[derive(Debug)]
struct CountedBytes {
    bytes: Bytes,
    budget: Arc<BufferBudget>,
}

impl AsRef<[u8]> for CountedBytes {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for CountedBytes {
    fn drop(&mut self) {
        self.budget.sub(self.bytes.len());
    }
}

impl Default for BufferBudget {
    /// Returns a budget without a limit.
    fn default() -> Self {
        Self::new(None)
    }
}

impl BufferBudget {
    /// Creates a budget of this many bytes.
    pub(crate) fn new(limit: Option<NonZeroUsize>) -> Self {
        Self {
            limit: AtomicUsize::new(limit.map_or(OFF, NonZeroUsize::get)),
            held: AtomicUsize::new(0),
            leaving: AtomicUsize::new(0),
            dropping: AtomicUsize::new(0),
            slack: AtomicUsize::new(0),
            is_exceeded: AtomicBool::new(false),
            evictions: Default::default(),
        }
    }

    /// Changes the limit. A lower one applies when more bytes are counted.
    pub(crate) fn set_limit(&self, limit: Option<NonZeroUsize>) {
        self.limit
            .store(limit.map_or(OFF, NonZeroUsize::get), Relaxed);
    }

    /// Counts a text once, until its last clone is dropped.
    pub(crate) fn count(self: &Arc<Self>, text: Text) -> Text {
        let counted = self.count_bytes(Bytes::from(text.0));
        Text(counted.try_into().expect("the bytes were a text"))
    }

    /// Counts bytes once, until their last clone is dropped.
    pub(crate) fn count_bytes(self: &Arc<Self>, bytes: Bytes) -> Bytes {
        self.add(bytes.len());
        Bytes::from_owner(CountedBytes {
            bytes,
            budget: Arc::clone(self),
        })
    }

    /// Counts more bytes.
    pub(super) fn add(&self, bytes: usize) {
        let held = self.held.fetch_add(bytes, Relaxed) + bytes;
        if held > self.threshold() {
            self.is_exceeded.store(true, Relaxed);
        }
    }

    /// Counts fewer bytes.
    pub(super) fn sub(&self, bytes: usize) {
        let held = self.held.fetch_sub(bytes, Relaxed) - bytes;
        if held <= self.limit.load(Relaxed) && self.slack.load(Relaxed) > 0 {
            self.slack.store(0, Relaxed);
        }
    }

    /// Notes that these bytes will be given back, or were.
    pub(super) fn add_leaving(&self, bytes: usize) {
        self.leaving.fetch_add(bytes, Relaxed);
    }

    /// Notes that these bytes no longer belong to a connection that was asked for them.
    pub(super) fn sub_leaving(&self, bytes: usize) {
        self.leaving.fetch_sub(bytes, Relaxed);
    }

    /// Notes that the task of a connection with these bytes is about to free them.
    pub(super) fn add_dropping(&self, bytes: usize) {
        self.dropping.fetch_add(bytes, Relaxed);
    }

    /// Notes that these bytes were freed.
    pub(super) fn sub_dropping(&self, bytes: usize) {
        self.dropping.fetch_sub(bytes, Relaxed);
    }

    /// Returns true while no peer's input may be read, because tasks that are about to free bytes had no
    /// turn yet. Otherwise a burst of input would need memory before they have freed any.
    pub(crate) fn must_wait(&self) -> bool {
        let dropping = self.dropping.load(Relaxed);
        dropping > 0 && self.held.load(Relaxed) + dropping > self.hard_limit()
    }

    /// Returns true, for one caller, if connections have to give bytes back.
    pub(super) fn take_exceeded(&self) -> bool {
        self.is_exceeded.load(Relaxed) && self.is_exceeded.swap(false, Relaxed)
    }

    /// Returns true while connections have to be asked for bytes. Stalled ones are asked for an eighth
    /// more than needed, so that the search for them is rare.
    pub(super) fn must_ask(&self, cause: EvictionCause) -> bool {
        let limit = self.limit.load(Relaxed);
        let target = match cause {
            EvictionCause::Stalled => limit - limit / 8,
            EvictionCause::Slow | EvictionCause::Closing => limit,
        };
        self.staying() > target
    }

    /// Returns true while connections that are closing have to be dropped.
    pub(super) fn must_drop(&self) -> bool {
        self.held.load(Relaxed) > self.hard_limit()
    }

    /// Ends an attempt to get below the limit.
    pub(super) fn end_attempt(&self) {
        let limit = self.limit.load(Relaxed);
        let excess = self.staying().saturating_sub(limit);
        let slack = if excess > 0 { excess + limit / 16 } else { 0 };
        self.slack.store(slack, Relaxed);
    }

    /// Counts an eviction.
    pub(super) fn count_eviction(&self, cause: EvictionCause) {
        self.evictions[cause as usize].fetch_add(1, Relaxed);
    }

    /// Returns the state of this moment.
    pub(crate) fn stats(&self) -> BudgetStats {
        BudgetStats {
            held: self.held.load(Relaxed),
            evictions: self.evictions.each_ref().map(|count| count.load(Relaxed)),
        }
    }

    /// Returns the bytes of connections that were not asked for them.
    fn staying(&self) -> usize {
        let leaving = self.leaving.load(Relaxed);
        self.held.load(Relaxed).saturating_sub(leaving)
    }

    /// Returns the number of bytes above which an attempt is due.
    fn threshold(&self) -> usize {
        let leaving = self.leaving.load(Relaxed);
        let limit = self.limit.load(Relaxed);
        limit
            .saturating_add(leaving)
            .min(self.hard_limit())
            .saturating_add(self.slack.load(Relaxed))
    }

    /// Returns the number of bytes above which no connection may take its time to close.
    fn hard_limit(&self) -> usize {
        let limit = self.limit.load(Relaxed);
        limit.saturating_add(limit / 4)
    }
}
