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
/// for longest is evicted first, of the author with the most of them.
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
    idle: BTreeMap<u64, IdleTopic>,
    last_idle: u64,
    /// The bytes of the idle topics' histories together.
    idle_bytes: usize,
    /// The idle topics of each owner.
    shares: HashMap<Arc<str>, Share>,
}

/// A topic that is kept for its history.
#[derive(Debug)]
struct IdleTopic {
    path: Arc<str>,
    /// The author of the oldest text, or the kind of author.
    owner: Arc<str>,
    /// The bytes of the history.
    bytes: usize,
}

/// The idle topics of one owner.
#[derive(Debug, Default)]
struct Share {
    topics: usize,
    bytes: usize,
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
    kept: VecDeque<KeptText>,
    kept_bytes: usize,
}

/// A text of the history.
#[derive(Debug)]
struct KeptText {
    text: Text,
    author: Arc<str>,
}

/// Returns the owner that an author's texts count for. All guests are one owner: a guest is a new
/// author with each connection. A user name has no `:`.
fn owner(author: &Arc<str>) -> Arc<str> {
    match author.split_once(':') {
        Some((kind, _)) => format!("{kind}:").into(),
        None => Arc::clone(author),
    }
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
        let kept = state.kept.iter().map(|kept| kept.text.clone()).collect();
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

    /// Publishes a text of this author on a topic, without a subscription.
    pub fn publish(&self, path: &Arc<str>, author: &str, text: &Text, history: HistoryPolicy) {
        let topic = self.topics().acquire(path);
        let drops = topic.state().publish(&author.into(), text, history);
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
            let topic = Arc::clone(&entry.topic);
            self.remove_idle(idle_since);
            return topic;
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
        let bytes = state.kept_bytes;
        let owner = state.kept.front().map(|oldest| owner(&oldest.author));
        drop(state);
        let Some(owner) = owner else {
            self.by_path.remove(path);
            return;
        };
        self.last_idle += 1;
        entry.idle_since = Some(self.last_idle);
        let share = self.shares.entry(Arc::clone(&owner)).or_default();
        share.topics += 1;
        share.bytes += bytes;
        let path = Arc::clone(path);
        let topic = IdleTopic { path, owner, bytes };
        self.idle.insert(self.last_idle, topic);
        self.idle_bytes += bytes;
        while self.idle.len() > 1 {
            let largest = if self.idle.len() > MAX_IDLE_TOPICS {
                self.largest_owner(|share| share.topics)
            } else if self.idle_bytes > MAX_IDLE_BYTES {
                self.largest_owner(|share| share.bytes)
            } else {
                return;
            };
            self.evict_longest_idle(largest.as_ref());
        }
    }

    /// Returns the owner with the largest share, so that no owner displaces the topics of others.
    fn largest_owner(&self, size: impl Fn(&Share) -> usize) -> Option<Arc<str>> {
        let largest = self.shares.iter().max_by_key(|(_, share)| size(share));
        largest.map(|(owner, _)| Arc::clone(owner))
    }

    /// Removes the topic of an owner that has been idle for longest.
    fn evict_longest_idle(&mut self, owner: Option<&Arc<str>>) {
        let longest = self.idle.iter().find(|(_, it)| Some(&it.owner) == owner);
        if let Some(idle_since) = longest.map(|(idle_since, _)| *idle_since)
            && let Some(topic) = self.remove_idle(idle_since)
        {
            self.by_path.remove(&topic.path);
        }
    }

    /// Ends the idleness of a topic.
    fn remove_idle(&mut self, idle_since: u64) -> Option<IdleTopic> {
        let topic = self.idle.remove(&idle_since)?;
        self.idle_bytes -= topic.bytes;
        if let Some(share) = self.shares.get_mut(&topic.owner) {
            share.topics -= 1;
            share.bytes -= topic.bytes;
            if share.topics == 0 {
                self.shares.remove(&topic.owner);
            }
        }
        Some(topic)
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

    fn publish(&mut self, author: &Arc<str>, text: &Text, history: HistoryPolicy) -> DropCounts {
        let drops = self.broadcast(text);
        self.kept_bytes += text.len();
        self.kept.push_back(KeptText {
            text: text.clone(),
            author: Arc::clone(author),
        });
        self.trim(history);
        drops
    }

    fn trim(&mut self, history: HistoryPolicy) {
        while self.kept.len() > history.texts || self.kept_bytes > history.bytes {
            let Some(oldest) = self.kept.pop_front() else {
                break;
            };
            self.kept_bytes -= oldest.text.len();
        }
    }
}

impl Subscription {
    /// Publishes a text to all subscribers, including this one. Returns their number.
    pub fn publish(&self, text: &Text, history: HistoryPolicy) -> usize {
        let mut state = self.topic.state();
        self.hub
            .count_drops(state.publish(&self.name, text, history));
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
