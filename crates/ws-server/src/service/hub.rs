//! The publish/subscribe hub in memory: topics, subscribers and histories.
//!
//! The hub does not interpret texts. Rooms use only [`Hub::subscribe`] and publishing, so a message
//! broker can replace the hub without a change in them.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::session::{DropCounts, Outbox, Text};

/// The maximum number of topics without subscribers that are kept for their history. The one idle
/// for longest is evicted first.
const MAX_IDLE_TOPICS: usize = 1024;

/// The maximum of their history together, in bytes: a single user could leave messages in a thousand
/// rooms. One topic is always kept.
const MAX_IDLE_BYTES: usize = 64 * 1024 * 1024;

/// The bounds of the history that a topic keeps for later subscribers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistoryPolicy {
    /// The greatest number of texts.
    pub texts: usize,
    /// The greatest number of bytes, all texts together.
    pub bytes: usize,
}

/// The hub: all topics.
#[derive(Debug, Default)]
pub struct Hub {
    topics: Mutex<Topics>,
    /// The texts dropped and the readers evicted by pushes, since the start.
    drops: Mutex<DropCounts>,
}

/// The number of topics and subscriptions at one moment.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct RoomStats {
    /// Topics with at least one subscriber.
    pub topics: usize,
    /// Subscriptions to them.
    pub subscriptions: usize,
    /// The texts dropped and the readers evicted, since the start.
    pub drops: DropCounts,
}

#[derive(Debug, Default)]
struct Topics {
    by_path: HashMap<Arc<str>, TopicEntry>,
    /// Topics without users, in the order in which they became idle.
    idle: BTreeMap<u64, Arc<str>>,
    last_idle: u64,
    /// The bytes of the idle topics' histories together.
    idle_bytes: usize,
}

#[derive(Debug, Default)]
struct TopicEntry {
    topic: Arc<Topic>,
    /// The number of subscribers and of publishers in progress. The topic stays while there is one.
    users: usize,
    /// The key in `idle`, while the topic has no users.
    idle_since: Option<u64>,
}

/// A topic. No code awaits while it holds this lock.
#[derive(Debug, Default)]
struct Topic(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    subscribers: HashMap<u64, Outbox>,
    /// The number of subscribers for each name.
    names: HashMap<Arc<str>, usize>,
    last_id: u64,
    kept: VecDeque<Text>,
    kept_bytes: usize,
}

/// A subscription to a topic. Drop ends it.
#[derive(Debug)]
pub struct Subscription {
    hub: Arc<Hub>,
    path: Arc<str>,
    topic: Arc<Topic>,
    id: u64,
    name: Arc<str>,
    has_ended: bool,
}

/// The result of a new subscription.
#[derive(Debug)]
pub struct Subscribed {
    /// The subscription.
    pub subscription: Subscription,
    /// The history, oldest first. Later texts come through the outbox, without gap or duplicate.
    pub kept: Vec<Text>,
}

impl Hub {
    /// Subscribes to a topic under a name. Several subscribers may have the same name.
    ///
    /// The first subscriber of a name triggers `greeting`, which goes to all current subscribers,
    /// including this one. `history` trims the topic's history before it is returned.
    pub fn subscribe(
        self: &Arc<Self>,
        path: &Arc<str>,
        name: Arc<str>,
        outbox: Outbox,
        history: HistoryPolicy,
        greeting: impl FnOnce() -> Option<Text>,
    ) -> Subscribed {
        let topic = self.topics().acquire(path);
        let mut state = topic.state();
        state.last_id += 1;
        let id = state.last_id;
        state.subscribers.insert(id, outbox);
        let of_this_name = state.names.entry(Arc::clone(&name)).or_default();
        *of_this_name += 1;
        // Broadcast under the lock, so that announcements are in the order of the events.
        if *of_this_name == 1
            && let Some(greeting) = greeting()
        {
            self.count_drops(state.broadcast(&greeting));
        }
        state.trim(history);
        let kept = state.kept.iter().cloned().collect();
        drop(state);
        Subscribed {
            subscription: Subscription {
                hub: Arc::clone(self),
                path: Arc::clone(path),
                topic,
                id,
                name,
                has_ended: false,
            },
            kept,
        }
    }

    /// Publishes a text on a topic, without a subscription.
    pub fn publish(&self, path: &Arc<str>, text: &Text, history: HistoryPolicy) {
        let topic = self.topics().acquire(path);
        let drops = topic.state().publish(text, history);
        self.count_drops(drops);
        self.topics().release(path);
    }

    /// Returns the number of topics and subscriptions.
    pub fn stats(&self) -> RoomStats {
        let topics = self.topics();
        let subscribers = topics
            .by_path
            .values()
            .map(|entry| entry.topic.state().subscribers.len());
        let mut stats = RoomStats::default();
        for subscriptions in subscribers.filter(|subscribers| *subscribers > 0) {
            stats.topics += 1;
            stats.subscriptions += subscriptions;
        }
        drop(topics);
        stats.drops = *self.drops();
        stats
    }

    fn count_drops(&self, drops: DropCounts) {
        if drops != DropCounts::default() {
            *self.drops() += drops;
        }
    }

    fn drops(&self) -> MutexGuard<'_, DropCounts> {
        // A panic while the lock was held cannot have left a number half added.
        self.drops.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn topics(&self) -> MutexGuard<'_, Topics> {
        // A panic while the lock was held cannot have left a topic half there.
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Topics {
    /// Returns the topic of this path and counts a user. [`Topics::release`] must follow.
    fn acquire(&mut self, path: &Arc<str>) -> Arc<Topic> {
        let entry = self.by_path.entry(Arc::clone(path)).or_default();
        entry.users += 1;
        if let Some(idle_since) = entry.idle_since.take() {
            self.idle.remove(&idle_since);
            // Not contended: an idle topic has no users.
            self.idle_bytes -= entry.topic.state().kept_bytes;
        }
        Arc::clone(&entry.topic)
    }

    /// Ends a use of a topic. After the last one, the topic becomes idle, or is removed if it has no
    /// history.
    fn release(&mut self, path: &Arc<str>) {
        let Some(entry) = self.by_path.get_mut(path) else {
            return;
        };
        entry.users -= 1;
        if entry.users > 0 {
            return;
        }
        // Not contended: there are no other users.
        let state = entry.topic.state();
        let (is_worth_keeping, bytes) = (!state.kept.is_empty(), state.kept_bytes);
        drop(state);
        if !is_worth_keeping {
            self.by_path.remove(path);
            return;
        }
        self.last_idle += 1;
        entry.idle_since = Some(self.last_idle);
        self.idle.insert(self.last_idle, Arc::clone(path));
        self.idle_bytes += bytes;
        while (self.idle.len() > MAX_IDLE_TOPICS || self.idle_bytes > MAX_IDLE_BYTES)
            && self.idle.len() > 1
        {
            self.evict_longest_idle();
        }
    }

    /// Removes the topic that has been idle for longest.
    fn evict_longest_idle(&mut self) {
        if let Some((_, path)) = self.idle.pop_first()
            && let Some(entry) = self.by_path.remove(&path)
        {
            self.idle_bytes -= entry.topic.state().kept_bytes;
        }
    }
}

impl Topic {
    fn state(&self) -> MutexGuard<'_, State> {
        // A panic while the lock was held cannot have left a subscriber half there.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn broadcast(&self, text: &Text) -> DropCounts {
        let mut drops = DropCounts::default();
        for outbox in self.subscribers.values() {
            drops += outbox.push(text.clone());
        }
        drops
    }

    /// Removes a subscriber. Returns true if it was the last one of its name.
    fn remove(&mut self, id: u64, name: &str) -> bool {
        self.subscribers.remove(&id);
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

    fn publish(&mut self, text: &Text, history: HistoryPolicy) -> DropCounts {
        let drops = self.broadcast(text);
        self.kept_bytes += text.len();
        self.kept.push_back(text.clone());
        self.trim(history);
        drops
    }

    fn trim(&mut self, history: HistoryPolicy) {
        while self.kept.len() > history.texts || self.kept_bytes > history.bytes {
            let Some(oldest) = self.kept.pop_front() else {
                break;
            };
            self.kept_bytes -= oldest.len();
        }
    }
}

impl Subscription {
    /// Publishes a text to all subscribers, including this one. Returns their number.
    pub fn publish(&self, text: &Text, history: HistoryPolicy) -> usize {
        let mut state = self.topic.state();
        self.hub.count_drops(state.publish(text, history));
        state.subscribers.len()
    }

    /// Ends the subscription, once. If it was the last one of its name, `farewell` goes to all
    /// remaining subscribers.
    pub fn end(&mut self, farewell: impl FnOnce() -> Option<Text>) {
        if mem::replace(&mut self.has_ended, true) {
            return;
        }
        let mut state = self.topic.state();
        if state.remove(self.id, &self.name)
            && let Some(farewell) = farewell()
        {
            self.hub.count_drops(state.broadcast(&farewell));
        }
        drop(state);
        self.hub.topics().release(&self.path);
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.end(|| None);
    }
}

#[cfg(test)]
#[path = "tests/hub.rs"]
mod tests;
