//! The way for others to push texts into a session.

use std::sync::Arc;

use proto::close::CloseReason;

use crate::{
    message::Text,
    registry::{
        connections::Live,
        queue::{Losses, OutboxPolicy, Push},
    },
};

/// The way to push texts into a session, from wherever.
#[derive(Debug, Clone)]
pub struct Outbox {
    live: Arc<Live>,
    policy: OutboxPolicy,
}

impl Outbox {
    pub(crate) fn new(live: Arc<Live>, policy: OutboxPolicy) -> Self {
        Self { live, policy }
    }

    /// Has a text sent when the session comes to it. It never waits: a full queue costs the slow
    /// reader something, and nobody else. What it costs is returned.
    pub fn push(&self, text: Text) -> Losses {
        let mut losses = Losses::default();
        match self.live.queue().push(text, self.policy) {
            Push::Full => losses.evicted += u64::from(self.live.end(CloseReason::SlowReader)),
            Push::Queued { dropped, was_empty } => {
                losses.dropped = dropped;
                // Whoever has begun to take texts out goes on until there are none.
                if was_empty {
                    self.live.wake();
                }
            }
        }
        losses
    }
}

#[cfg(test)]
mod tests {
    use std::{num::NonZeroUsize, sync::Arc};

    use proto::close::CloseReason;

    use super::Outbox;
    use crate::{
        message::Text,
        registry::{Live, OutboxPolicy, Pushed, WhenFull},
    };

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
