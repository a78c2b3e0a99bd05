//! The bounded queue of texts that other tasks push into a session.

use std::{
    collections::VecDeque,
    mem,
    num::NonZeroUsize,
    ops::AddAssign,
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
};

use serde::{Deserialize, Serialize};

use crate::message::Text;

/// The capacity, in texts, that an emptied queue keeps. It releases the rest.
const RETAINED_TEXTS: usize = 64;

/// The bounds of a session's queue, and the policy when they are exceeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutboxPolicy {
    /// The greatest number of queued texts.
    pub max_texts: NonZeroUsize,
    /// The greatest number of queued bytes. A single text is always accepted.
    pub max_bytes: NonZeroUsize,
    /// The policy for a full queue.
    pub overflow: OverflowPolicy,
}

/// The policy for a full queue, whose reader is too slow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum OverflowPolicy {
    /// Ends the session with close code 1013.
    #[default]
    Evict,
    /// Drops the oldest texts, and reports their number to the reader.
    DropOldest,
}

/// The consequences of pushes into full queues.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct DropCounts {
    /// The number of readers evicted.
    pub evicted: u64,
    /// The number of texts dropped.
    pub dropped: u64,
}

impl AddAssign for DropCounts {
    fn add_assign(&mut self, other: Self) {
        self.evicted += other.evicted;
        self.dropped += other.dropped;
    }
}

/// An item taken out of a queue.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Pushed {
    /// The oldest text.
    Text(Text),
    /// The number of texts dropped before the oldest one.
    Lost(u64),
}

/// The queue of a session. The first push allocates it: most sessions never get one.
#[derive(Debug, Default)]
pub(crate) struct PushQueue(OnceLock<Box<Mutex<PendingTexts>>>);

#[derive(Debug, Default)]
struct PendingTexts {
    texts: VecDeque<Text>,
    bytes: usize,
    lost: u64,
}

/// The result of a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Push {
    /// The text is in the queue.
    Queued {
        /// The number of older texts dropped for it.
        dropped: u64,
        /// The queue was empty, so its reader may have to be woken.
        was_empty: bool,
    },
    /// The queue is full, and the policy evicts its reader.
    Full,
}

impl PushQueue {
    /// Appends a text. If the queue is full, drops older texts or reports it, as the policy says.
    pub(crate) fn push(&self, text: Text, policy: OutboxPolicy) -> Push {
        let mut pending = self.get_or_make();
        let len = text.len();
        let is_full = |pending: &PendingTexts| {
            let is_first = pending.texts.is_empty();
            let has_room = pending.texts.len() < policy.max_texts.get()
                && pending.bytes.saturating_add(len) <= policy.max_bytes.get();
            !is_first && !has_room
        };
        if is_full(&pending) && policy.overflow == OverflowPolicy::Evict {
            return Push::Full;
        }
        let mut dropped = 0;
        while is_full(&pending)
            && let Some(oldest) = pending.texts.pop_front()
        {
            pending.bytes -= oldest.len();
            pending.lost += 1;
            dropped += 1;
        }
        let was_empty = pending.texts.is_empty();
        pending.bytes += len;
        pending.texts.push_back(text);
        Push::Queued { dropped, was_empty }
    }

    /// Takes the next item out, if there is one.
    pub(crate) fn pop(&self) -> Option<Pushed> {
        let mut pending = lock(self.0.get()?);
        if pending.lost > 0 {
            return Some(Pushed::Lost(mem::take(&mut pending.lost)));
        }
        let text = pending.texts.pop_front()?;
        pending.bytes -= text.len();
        if pending.texts.is_empty() {
            pending.texts.shrink_to(RETAINED_TEXTS);
        }
        Some(Pushed::Text(text))
    }

    fn get_or_make(&self) -> MutexGuard<'_, PendingTexts> {
        lock(self.0.get_or_init(Box::default))
    }
}

fn lock(pending: &Mutex<PendingTexts>) -> MutexGuard<'_, PendingTexts> {
    // A panic while the lock was held cannot have left a text half in the queue.
    pending.lock().unwrap_or_else(PoisonError::into_inner)
}
