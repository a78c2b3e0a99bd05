//! What others push into a session: a bounded queue beside its connection.

use std::{
    collections::VecDeque,
    mem,
    num::NonZeroUsize,
    ops::AddAssign,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use proto::close::CloseReason;

use crate::{message::Text, registry::connections::Live};

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
    pub when_full: WhenFull,
}

/// What becomes of a reader that is too slow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum WhenFull {
    /// Its session ends with 1013.
    #[default]
    Evict,
    /// It loses the oldest texts, and is told how many.
    DropOldest,
}

/// The way to push texts into a session, from wherever.
#[derive(Debug, Clone)]
pub struct Outbox {
    live: Arc<Live>,
    policy: OutboxPolicy,
}

/// What a push cost the reader, besides a place in its queue.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Losses {
    /// How many readers were evicted.
    pub evicted: u64,
    /// How many texts were dropped.
    pub dropped: u64,
}

impl AddAssign for Losses {
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

/// The queue itself, which there is from the first push on: most sessions never get one.
#[derive(Debug, Default)]
pub(crate) struct Queue(OnceLock<Box<Mutex<Waiting>>>);

#[derive(Debug, Default)]
struct Waiting {
    texts: VecDeque<Text>,
    bytes: usize,
    lost: u64,
}

impl Outbox {
    pub(crate) fn new(live: Arc<Live>, policy: OutboxPolicy) -> Self {
        Self { live, policy }
    }

    /// Has a text sent when the session comes to it. It never waits: a full queue costs the slow
    /// reader something, and nobody else. What it costs is returned.
    pub fn push(&self, text: Text) -> Losses {
        let mut losses = Losses::default();
        let mut waiting = self.live.queue().get_or_make();
        let policy = self.policy;
        let len = text.len();
        let is_full = |waiting: &Waiting| {
            let is_first = waiting.texts.is_empty();
            let has_room = waiting.texts.len() < policy.max_texts.get()
                && waiting.bytes.saturating_add(len) <= policy.max_bytes.get();
            !is_first && !has_room
        };
        if is_full(&waiting) && policy.when_full == WhenFull::Evict {
            drop(waiting);
            losses.evicted += u64::from(self.live.end(CloseReason::SlowReader));
            return losses;
        }
        while is_full(&waiting)
            && let Some(oldest) = waiting.texts.pop_front()
        {
            waiting.bytes -= oldest.len();
            waiting.lost += 1;
            losses.dropped += 1;
        }
        let was_empty = waiting.texts.is_empty();
        waiting.bytes += len;
        waiting.texts.push_back(text);
        drop(waiting);
        // Whoever has begun to take texts out goes on until there are none.
        if was_empty {
            self.live.wake();
        }
        losses
    }
}

impl Queue {
    /// Takes the next thing out, if there is one.
    pub(crate) fn pop(&self) -> Option<Pushed> {
        let mut waiting = lock(self.0.get()?);
        if waiting.lost > 0 {
            return Some(Pushed::Lost(mem::take(&mut waiting.lost)));
        }
        let text = waiting.texts.pop_front()?;
        waiting.bytes -= text.len();
        if waiting.texts.is_empty() {
            waiting.texts.shrink_to(KEPT_ROOM);
        }
        Some(Pushed::Text(text))
    }

    fn get_or_make(&self) -> MutexGuard<'_, Waiting> {
        lock(self.0.get_or_init(Box::default))
    }
}

fn lock(waiting: &Mutex<Waiting>) -> MutexGuard<'_, Waiting> {
    // A panic while the lock was held cannot have left a text half in the queue.
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::{num::NonZeroUsize, sync::Arc};

    use proto::close::CloseReason;

    use super::{Outbox, OutboxPolicy, Pushed, WhenFull};
    use crate::{message::Text, registry::Live};

    fn outbox(max_texts: usize, max_bytes: usize, when_full: WhenFull) -> (Outbox, Arc<Live>) {
        let live = Arc::new(Live::default());
        let policy = OutboxPolicy {
            max_texts: NonZeroUsize::new(max_texts).unwrap(),
            max_bytes: NonZeroUsize::new(max_bytes).unwrap(),
            when_full,
        };
        (Outbox::new(Arc::clone(&live), policy), live)
    }

    fn text(text: &str) -> Pushed {
        Pushed::Text(Text::from(text.to_owned()))
    }

    fn push(outbox: &Outbox, texts: &[&str]) {
        for text in texts {
            outbox.push(Text::from((*text).to_owned()));
        }
    }

    fn all(live: &Live) -> Vec<Pushed> {
        std::iter::from_fn(|| live.queue().pop()).collect()
    }

    #[test]
    fn texts_come_out_in_order() {
        let (outbox, live) = outbox(3, 100, WhenFull::Evict);
        assert_eq!(live.queue().pop(), None);
        push(&outbox, &["a", "b", "c"]);
        assert_eq!(live.queue().pop(), Some(text("a")));
        push(&outbox, &["d"]);
        assert_eq!(all(&live), [text("b"), text("c"), text("d")]);
        assert_eq!(live.queue().pop(), None);
        assert_eq!(live.ended(), None);
    }

    #[test]
    fn one_text_more_than_there_is_room_for_evicts_the_reader() {
        for (max_texts, max_bytes) in [(2, 100), (100, 4)] {
            let (outbox, live) = outbox(max_texts, max_bytes, WhenFull::Evict);
            push(&outbox, &["aa", "bb"]);
            assert_eq!(live.ended(), None);
            push(&outbox, &["c"]);
            assert_eq!(live.ended(), Some(CloseReason::SlowReader));
            assert_eq!(all(&live), [text("aa"), text("bb")]);
        }
    }

    #[test]
    fn or_costs_it_the_oldest_and_says_how_many() {
        for (max_texts, max_bytes) in [(2, 100), (100, 4)] {
            let (outbox, live) = outbox(max_texts, max_bytes, WhenFull::DropOldest);
            push(&outbox, &["aa", "bb", "cc", "dd"]);
            assert_eq!(all(&live), [Pushed::Lost(2), text("cc"), text("dd")]);
            assert_eq!(live.ended(), None);
        }
    }

    #[test]
    fn a_text_that_is_too_long_for_the_queue_may_wait_alone() {
        let (outbox, live) = outbox(2, 4, WhenFull::DropOldest);
        push(&outbox, &["a", "a long one"]);
        assert_eq!(all(&live), [Pushed::Lost(1), text("a long one")]);
    }
}
