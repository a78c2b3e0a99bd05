//! The bounded queue of texts that others push into a session.

use std::{
    collections::VecDeque,
    mem,
    num::NonZeroUsize,
    ops::AddAssign,
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
};

use serde::{Deserialize, Serialize};

use crate::message::Text;

/// A queue that has become empty keeps the room for so many texts, and gives the rest back.
const KEPT_ROOM: usize = 64;

/// How much may wait for a reader, and what becomes of one that lets more come together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutboxPolicy {
    /// How many texts may wait.
    pub max_texts: NonZeroUsize,
    /// How many bytes they may have together. A single text may always wait.
    pub max_bytes: NonZeroUsize,
    /// What becomes of a reader that is slower than that.
    pub overflow: OverflowPolicy,
}

/// What becomes of a reader that is too slow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum OverflowPolicy {
    /// Its session ends with 1013.
    #[default]
    Evict,
    /// It loses the oldest texts, and is told how many.
    DropOldest,
}

/// What a push cost the reader, besides a place in its queue.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct DropCounts {
    /// How many readers were evicted.
    pub evicted: u64,
    /// How many texts were dropped.
    pub dropped: u64,
}

impl AddAssign for DropCounts {
    fn add_assign(&mut self, other: Self) {
        self.evicted += other.evicted;
        self.dropped += other.dropped;
    }
}

/// What was taken out of a queue.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Pushed {
    /// The oldest text.
    Text(Text),
    /// So many texts were dropped before the oldest one.
    Lost(u64),
}

/// The queue itself. It is allocated by the first push: most sessions never get one.
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
        /// How many older texts were dropped for it.
        dropped: u64,
        /// The queue was empty, so its reader may have to be woken.
        was_empty: bool,
    },
    /// The queue is full, and its reader is to be evicted.
    Full,
}

impl PushQueue {
    /// Puts a text at the end of the queue, or drops older ones for it, as the policy says.
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

    /// Takes the next thing out, if there is one.
    pub(crate) fn pop(&self) -> Option<Pushed> {
        let mut pending = lock(self.0.get()?);
        if pending.lost > 0 {
            return Some(Pushed::Lost(mem::take(&mut pending.lost)));
        }
        let text = pending.texts.pop_front()?;
        pending.bytes -= text.len();
        if pending.texts.is_empty() {
            pending.texts.shrink_to(KEPT_ROOM);
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
