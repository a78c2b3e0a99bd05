//! One topic: its subscribers, its history, and the texts that wait for room.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    fmt::Debug,
    ops::AddAssign,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

use crate::session::{DropCounts, Outbox, PushOutcome, Text};

/// The number of deliveries of waiting texts while a topic is locked: a fraction of a millisecond. The
/// last text may exceed it.
const MAX_DELIVERIES: usize = 2048;

/// The bounds of the history that a topic keeps for later subscribers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistoryPolicy {
    /// The greatest number of texts.
    pub texts: usize,
    /// The greatest number of bytes, all texts together.
    pub bytes: usize,
}

/// The author of a text, which may lose the right to publish it while it waits.
pub trait Publisher: Debug + Send {
    /// Returns true if the text may be published now.
    fn may_publish(&self) -> bool;
}

/// A publisher that keeps its right.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Unrestricted;

#[derive(Debug, Default)]
pub(super) struct Topic {
    /// No code awaits while it holds this lock.
    state: Mutex<State>,
    /// Held by the one waiting publisher that waits for the subscribers' queues, for all.
    pub(super) leader: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) subscribers: HashMap<u64, Outbox>,
    /// The subscribers whose queues were full after a push.
    pub(super) full: BTreeSet<u64>,
    /// The texts that wait for room, oldest first. Each publisher that waits has one.
    pub(super) waiting: VecDeque<WaitingText>,
    last_ticket: u64,
    /// The number of subscribers for each name.
    pub(super) names: HashMap<Arc<str>, usize>,
    pub(super) last_id: u64,
    pub(super) kept: VecDeque<KeptText>,
    pub(super) kept_bytes: usize,
}

/// A text of the history.
#[derive(Debug)]
pub(super) struct KeptText {
    pub(super) text: Text,
    pub(super) author: Arc<str>,
}

/// A text that waits for room.
#[derive(Debug)]
pub(super) struct WaitingText {
    ticket: u64,
    author: Arc<str>,
    text: Text,
    history: HistoryPolicy,
    publisher: Box<dyn Publisher>,
    /// Sends the number of subscribers when the text is published. Dropped if it may not be.
    sender: oneshot::Sender<usize>,
}

/// The place of a waiting text. Drop removes the text, if it still waits.
#[derive(Debug)]
pub(super) struct WaitingPlace<'t> {
    topic: &'t Topic,
    ticket: u64,
}

/// The work of publishing.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Delivered {
    /// The number of deliveries: each text counts once for each subscriber.
    pub(super) deliveries: usize,
    pub(super) drops: DropCounts,
}

impl Topic {
    /// Appends a text to the waiting ones.
    pub(super) fn enqueue(
        &self,
        author: &Arc<str>,
        text: &Text,
        history: HistoryPolicy,
        publisher: Box<dyn Publisher>,
    ) -> (WaitingPlace<'_>, oneshot::Receiver<usize>) {
        let (sender, receiver) = oneshot::channel();
        let mut state = self.state();
        state.last_ticket += 1;
        let ticket = state.last_ticket;
        state.waiting.push_back(WaitingText {
            ticket,
            author: Arc::clone(author),
            text: text.clone(),
            history,
            publisher,
            sender,
        });
        drop(state);
        let place = WaitingPlace {
            topic: self,
            ticket,
        };
        (place, receiver)
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        // A panic while the lock was held cannot have left a subscriber half there.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for WaitingPlace<'_> {
    fn drop(&mut self) {
        let mut state = self.topic.state();
        let waiting = &mut state.waiting;
        if let Ok(index) = waiting.binary_search_by_key(&self.ticket, |text| text.ticket) {
            waiting.remove(index);
        }
    }
}

impl AddAssign for Delivered {
    fn add_assign(&mut self, other: Self) {
        self.deliveries += other.deliveries;
        self.drops += other.drops;
    }
}

/// A session that must end publishes nothing more.
impl Publisher for Outbox {
    fn may_publish(&self) -> bool {
        !self.has_ended()
    }
}

impl Publisher for Unrestricted {
    fn may_publish(&self) -> bool {
        true
    }
}

impl State {
    fn broadcast(&mut self, push: impl Fn(&Outbox) -> PushOutcome) -> DropCounts {
        let mut drops = DropCounts::default();
        for (id, outbox) in &self.subscribers {
            let outcome = push(outbox);
            drops += outcome.drops;
            if outcome.is_full {
                self.full.insert(*id);
            }
        }
        drops
    }

    /// Broadcasts an announcement. Does not wait and evicts no subscriber.
    pub(super) fn announce(&mut self, text: &Text) -> DropCounts {
        self.broadcast(|outbox| outbox.push_or_drop(text.clone()))
    }

    /// Returns the subscribers that publishers have to wait for.
    pub(super) fn awaited(&mut self) -> Vec<Outbox> {
        let mut awaited = Vec::new();
        if self.full.is_empty() {
            return awaited;
        }
        self.full.retain(|id| {
            let outbox = self.subscribers.get(id);
            let outbox = outbox.filter(|outbox| outbox.is_awaited());
            awaited.extend(outbox.cloned());
            outbox.is_some()
        });
        awaited
    }

    /// Publishes waiting texts in their order, until a subscriber has to be waited for, or enough was
    /// delivered.
    pub(super) fn publish_waiting(&mut self) -> Delivered {
        let mut work = Delivered::default();
        while !self.waiting.is_empty()
            && work.deliveries <= MAX_DELIVERIES
            && self.awaited().is_empty()
            && let Some(waiting) = self.waiting.pop_front()
        {
            if waiting.publisher.may_publish() {
                work += self.publish(&waiting.author, &waiting.text, waiting.history);
                // Not received if the publisher was cancelled at this moment.
                let _ = waiting.sender.send(self.subscribers.len());
            }
        }
        work
    }

    /// Ends the delivery to a subscriber.
    pub(super) fn remove_outbox(&mut self, id: u64) {
        if let Some(outbox) = self.subscribers.remove(&id) {
            outbox.abandon();
        }
    }

    /// Removes a subscriber. Returns true if it was the last one of its name.
    pub(super) fn remove(&mut self, id: u64, name: &str) -> bool {
        self.remove_outbox(id);
        let Some(of_this_name) = self.names.get_mut(name) else {
            return false;
        };
        *of_this_name -= 1;
        let is_last = *of_this_name == 0;
        if is_last {
            self.names.remove(name);
        }
        is_last
    }

    pub(super) fn publish(
        &mut self,
        author: &Arc<str>,
        text: &Text,
        history: HistoryPolicy,
    ) -> Delivered {
        let drops = self.broadcast(|outbox| outbox.push(text.clone()));
        self.kept_bytes += text.len();
        self.kept.push_back(KeptText {
            text: text.clone(),
            author: Arc::clone(author),
        });
        self.trim(history);
        Delivered {
            deliveries: self.subscribers.len(),
            drops,
        }
    }

    pub(super) fn trim(&mut self, history: HistoryPolicy) {
        while self.kept.len() > history.texts || self.kept_bytes > history.bytes {
            let Some(oldest) = self.kept.pop_front() else {
                break;
            };
            self.kept_bytes -= oldest.text.len();
        }
    }
}
