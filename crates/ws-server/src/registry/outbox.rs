//! The outbox, by which other tasks push texts into a session.

use std::sync::Arc;

use proto::close::CloseReason;

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

impl Outbox {
    pub(crate) fn new(entry: Arc<ConnectionEntry>, policy: OutboxPolicy) -> Self {
        Self { entry, policy }
    }

    /// Queues a text for sending. Never blocks: a full queue affects only its slow reader. Returns
    /// the number of dropped texts and evicted readers.
    pub fn push(&self, text: Text) -> DropCounts {
        let mut drops = DropCounts::default();
        match self.entry.queue().push(text, self.policy) {
            Push::Full => drops.evicted += u64::from(self.entry.end(CloseReason::SlowReader)),
            Push::Queued { dropped, was_empty } => {
                drops.dropped = dropped;
                // A session that is not idle pops until the queue is empty, so it needs no wake-up.
                if was_empty {
                    self.entry.wake();
                }
            }
        }
        drops
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
    fn text_over_capacity_accepted_alone() {
        let (outbox, entry) = outbox(2, 4, OverflowPolicy::DropOldest);
        push(&outbox, &["a", "a long one"]);
        assert_eq!(all(&entry), [Pushed::Lost(1), text("a long one")]);
    }
}
