//! The outbox, by which other tasks push texts into a session.

use std::sync::Arc;

use proto::close::CloseReason;
use tokio::{
    sync::mpsc,
    time::{Instant, timeout_at},
};

use crate::{
    message::Text,
    registry::{
        connections::ConnectionEntry,
        queue::{DropCounts, OutboxPolicy, Push},
    },
};

/// A handle by which any task pushes texts into a session.
#[derive(Debug, Clone)]
pub struct Outbox {
    entry: Arc<ConnectionEntry>,
    policy: OutboxPolicy,
}

/// The result of a push.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct PushOutcome {
    /// The number of dropped texts and evicted readers.
    pub drops: DropCounts,
    /// The queue is full: the next publisher should wait for room.
    pub is_full: bool,
}

impl Outbox {
    pub(crate) fn new(entry: Arc<ConnectionEntry>, policy: OutboxPolicy) -> Self {
        Self { entry, policy }
    }

    /// Queues a text for sending. Never blocks. If the queue is full, the policy evicts the reader with
    /// 1013, or drops its oldest texts.
    pub fn push(&self, text: Text) -> PushOutcome {
        let progress = self.entry.progress();
        self.finish(self.entry.queue().push(text, self.policy, progress))
    }

    /// Queues a text for sending. Never blocks. If the queue is full, the text is dropped and counted
    /// as lost. The reader is not evicted.
    pub fn push_or_drop(&self, text: Text) -> PushOutcome {
        let progress = self.entry.progress();
        self.finish(self.entry.queue().push_or_drop(text, self.policy, progress))
    }

    /// Returns true if the session must end, or has ended.
    pub fn has_ended(&self) -> bool {
        self.entry.ended().is_some()
    }

    /// Returns true if the queue is full, and a publisher should wait for room.
    pub fn is_awaited(&self) -> bool {
        self.awaited_until().is_some()
    }

    /// Ends the wait of a publisher for this queue, for good, because its reader is leaving.
    pub fn abandon(&self) {
        self.entry.queue().abandon();
    }

    /// Waits until none of these queues is awaited: each has room, or its reader ends or is stalled. A
    /// reader is stalled if its socket is blocked and accepts less than 64 KiB in 6 s. Only one task
    /// may wait for a queue.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn wait_for_room(outboxes: &[Self]) {
        // Each awaited queue keeps a sender. When all are dropped, the channel is closed.
        let (sender, mut room) = mpsc::channel(1);
        for outbox in outboxes {
            outbox.entry.queue().keep(&sender);
        }
        drop(sender);
        while let Some(until) = outboxes.iter().filter_map(Self::awaited_until).min() {
            if timeout_at(until, room.recv()).await.is_ok() {
                return;
            }
        }
    }

    fn awaited_until(&self) -> Option<Instant> {
        if self.has_ended() {
            return None;
        }
        self.entry.queue().awaited_until(self.entry.progress())
    }

    fn finish(&self, push: Push) -> PushOutcome {
        let mut outcome = PushOutcome::default();
        match push {
            Push::Full => {
                let is_first = self.entry.end(CloseReason::SlowReader);
                outcome.drops.evicted = u64::from(is_first);
            }
            Push::Queued {
                dropped,
                was_empty,
                is_full,
            } => {
                outcome.drops.dropped = dropped;
                outcome.is_full = is_full;
                // A session that is not idle pops until the queue is empty, so it needs no wake-up.
                if was_empty {
                    self.entry.wake();
                }
            }
        }
        outcome
    }
}

#[cfg(test)]
mod tests {
    use std::{num::NonZeroUsize, sync::Arc};

    use proto::close::CloseReason;

    use super::Outbox;
    use crate::{
        message::Text,
        registry::{ConnectionEntry, OutboxPolicy, OverflowPolicy, Pushed},
    };

    fn outbox(
        max_texts: usize,
        max_bytes: usize,
        overflow: OverflowPolicy,
    ) -> (Outbox, Arc<ConnectionEntry>) {
        let entry = Arc::new(ConnectionEntry::default());
        let policy = OutboxPolicy {
            max_texts: NonZeroUsize::new(max_texts).unwrap(),
            max_bytes: NonZeroUsize::new(max_bytes).unwrap(),
            overflow,
        };
        (Outbox::new(Arc::clone(&entry), policy), entry)
    }

    fn text(text: &str) -> Pushed {
        Pushed::Text(Text::from(text.to_owned()))
    }

    fn push(outbox: &Outbox, texts: &[&str]) {
        for text in texts {
            outbox.push(Text::from((*text).to_owned()));
        }
    }

    fn all(entry: &ConnectionEntry) -> Vec<Pushed> {
        std::iter::from_fn(|| entry.queue().pop()).collect()
    }

    #[test]
    fn texts_popped_in_order() {
        let (outbox, entry) = outbox(3, 100, OverflowPolicy::Evict);
        assert_eq!(entry.queue().pop(), None);
        push(&outbox, &["a", "b", "c"]);
        assert_eq!(entry.queue().pop(), Some(text("a")));
        push(&outbox, &["d"]);
        assert_eq!(all(&entry), [text("b"), text("c"), text("d")]);
        assert_eq!(entry.queue().pop(), None);
        assert_eq!(entry.ended(), None);
    }

    #[test]
    fn full_queue_evicts_reader() {
        for (max_texts, max_bytes) in [(2, 100), (100, 4)] {
            let (outbox, entry) = outbox(max_texts, max_bytes, OverflowPolicy::Evict);
            push(&outbox, &["aa", "bb"]);
            assert_eq!(entry.ended(), None);
            push(&outbox, &["c"]);
            assert_eq!(entry.ended(), Some(CloseReason::SlowReader));
            assert_eq!(all(&entry), [text("aa"), text("bb")]);
        }
    }

    #[test]
    fn full_queue_drops_oldest_and_counts() {
        for (max_texts, max_bytes) in [(2, 100), (100, 4)] {
            let (outbox, entry) = outbox(max_texts, max_bytes, OverflowPolicy::DropOldest);
            push(&outbox, &["aa", "bb", "cc", "dd"]);
            assert_eq!(all(&entry), [Pushed::Lost(2), text("cc"), text("dd")]);
            assert_eq!(entry.ended(), None);
        }
    }

    #[test]
    fn last_text_may_exceed_byte_bound() {
        let (outbox, entry) = outbox(9, 4, OverflowPolicy::DropOldest);
        push(&outbox, &["a", "a long one", "b"]);
        assert_eq!(all(&entry), [Pushed::Lost(2), text("b")]);
    }

    #[test]
    fn lost_texts_reported_where_they_are_missing() {
        let (outbox, entry) = outbox(2, 100, OverflowPolicy::DropOldest);
        push(&outbox, &["a", "b"]);
        outbox.push_or_drop(Text::from("dropped".to_owned()));
        assert_eq!(entry.queue().pop(), Some(text("a")));
        push(&outbox, &["c"]);
        assert_eq!(all(&entry), [text("b"), Pushed::Lost(1), text("c")]);
        push(&outbox, &["d", "e", "f"]);
        outbox.push_or_drop(Text::from("dropped".to_owned()));
        let expected = [Pushed::Lost(1), text("e"), text("f"), Pushed::Lost(1)];
        assert_eq!(all(&entry), expected);
    }

    #[test]
    fn abandoned_queue_never_awaited() {
        let (outbox, _entry) = outbox(2, 100, OverflowPolicy::DropOldest);
        push(&outbox, &["a", "b"]);
        assert!(outbox.is_awaited());
        outbox.abandon();
        assert!(!outbox.is_awaited());
        push(&outbox, &["c", "d"]);
        assert!(!outbox.is_awaited());
    }
}
