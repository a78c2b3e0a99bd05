//! The publish/subscribe hub in memory: topics, subscribers and histories.
//!
//! The hub does not interpret texts. Rooms use only [`Hub::subscribe`] and publishing, so a message
//! broker can replace the hub without a change in them.
//!
//! A text that finds a full queue waits in its topic until the queue has room, but not for a subscriber
//! that makes no progress. Each publisher that finds room publishes the waiting texts first, so all
//! subscribers get all texts in one order, and no text waits for the turn of another task.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    convert::Infallible,
    fmt::Debug,
    mem,
    ops::AddAssign,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures::future::{Either, select};
use tokio::{sync::oneshot, task::yield_now};

use crate::session::{DropCounts, Outbox, PushOutcome, Text};

/// The maximum number of topics without subscribers that are kept for their history. The one idle
/// for longest is evicted first, of the author with the most of them.
const MAX_IDLE_TOPICS: usize = 1024;

/// The maximum of their history together, in bytes: a single user could leave messages in a thousand
/// rooms. One topic is always kept.
const MAX_IDLE_BYTES: usize = 64 * 1024 * 1024;

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

/// The author of a text, which may lose the right to publish it while it waits.
pub trait Publisher: Debug + Send {
    /// Returns true if the text may be published now.
    fn may_publish(&self) -> bool;
}

/// A publisher that keeps its right.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Unrestricted;

#[derive(Debug, Default)]
struct Topic {
    /// No code awaits while it holds this lock.
    state: Mutex<State>,
    /// Held by the one waiting publisher that waits for the subscribers' queues, for all.
    leader: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    subscribers: HashMap<u64, Outbox>,
    /// The subscribers whose queues were full after a push.
    full: BTreeSet<u64>,
    /// The texts that wait for room, oldest first. Each publisher that waits has one.
    waiting: VecDeque<WaitingText>,
    last_ticket: u64,
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

/// A text that waits for room.
#[derive(Debug)]
struct WaitingText {
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
struct WaitingPlace<'t> {
    topic: &'t Topic,
    ticket: u64,
}

/// The work of publishing.
#[derive(Debug, Default, Clone, Copy)]
struct Delivered {
    /// The number of deliveries: each text counts once for each subscriber.
    deliveries: usize,
    drops: DropCounts,
}

/// A subscription to a topic. Drop ends it.
#[derive(Debug)]
pub struct Subscription {
    topic: TopicUse<Arc<Hub>>,
    id: u64,
    name: Arc<str>,
    outbox: Outbox,
    has_ended: bool,
}

/// The use of a topic. The hub keeps the topic until this is dropped.
#[derive(Debug)]
struct TopicUse<H: AsRef<Hub>> {
    hub: H,
    path: Arc<str>,
    topic: Arc<Topic>,
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
        let topic = TopicUse::new(Arc::clone(self), path);
        let mut state = topic.topic.state();
        state.last_id += 1;
        let id = state.last_id;
        state.subscribers.insert(id, outbox.clone());
        let of_this_name = state.names.entry(Arc::clone(&name)).or_default();
        *of_this_name += 1;
        // Broadcast under the lock, so that announcements are in the order of the events.
        if *of_this_name == 1
            && let Some(greeting) = greeting()
        {
            self.count_drops(state.announce(&greeting));
        }
        state.trim(history);
        let kept = state.kept.iter().map(|kept| kept.text.clone()).collect();
        drop(state);
        Subscribed {
            subscription: Subscription {
                topic,
                id,
                name,
                outbox,
                has_ended: false,
            },
            kept,
        }
    }

    /// Publishes a text of this author on a topic, without a subscription. Waits as `Subscription::publish` does.
    /// Returns the number of subscribers, or `None` if the publisher lost its right meanwhile.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a text that still waits is not published.
    pub async fn publish(
        &self,
        path: &Arc<str>,
        author: &str,
        text: &Text,
        history: HistoryPolicy,
        publisher: impl Publisher + 'static,
    ) -> Option<usize> {
        let topic = TopicUse::new(self, path);
        let publisher = Box::new(publisher);
        topic
            .publish(&author.into(), text, history, publisher)
            .await
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

impl AsRef<Hub> for Hub {
    fn as_ref(&self) -> &Hub {
        self
    }
}

impl<H: AsRef<Hub>> TopicUse<H> {
    fn new(hub: H, path: &Arc<str>) -> Self {
        let topic = hub.as_ref().topics().acquire(path);
        Self {
            hub,
            path: Arc::clone(path),
            topic,
        }
    }

    /// Publishes a text now, after the waiting ones. Returns the number of deliveries, or `None` if the
    /// text has to wait.
    fn try_publish(&self, author: &Arc<str>, text: &Text, history: HistoryPolicy) -> Option<usize> {
        let mut state = self.topic.state();
        let mut work = state.publish_waiting();
        let is_next = state.waiting.is_empty() && state.awaited().is_empty();
        if is_next {
            work += state.publish(author, text, history);
        }
        self.count_drops(work.drops);
        is_next.then_some(work.deliveries)
    }

    /// Publishes a text when the earlier ones are published and no subscriber is awaited. Returns the
    /// number of subscribers, or `None` if the publisher lost its right meanwhile.
    async fn publish(
        &self,
        author: &Arc<str>,
        text: &Text,
        history: HistoryPolicy,
        publisher: Box<dyn Publisher>,
    ) -> Option<usize> {
        if !publisher.may_publish() {
            return None;
        }
        let (_place, receiver) = self.topic.enqueue(author, text, history, publisher);
        match select(pin!(self.lead()), receiver).await {
            Either::Left((never, _)) => match never {},
            Either::Right((count, _)) => count.ok(),
        }
    }

    /// Publishes the waiting texts as soon as there is room, while no other publisher does.
    async fn lead(&self) -> Infallible {
        let _leader = self.topic.leader.lock().await;
        loop {
            let awaited = {
                let mut state = self.topic.state();
                self.count_drops(state.publish_waiting().drops);
                state.awaited()
            };
            if awaited.is_empty() {
                yield_now().await;
            } else {
                Outbox::wait_for_room(&awaited).await;
            }
        }
    }

    fn count_drops(&self, drops: DropCounts) {
        self.hub.as_ref().count_drops(drops);
    }
}

impl<H: AsRef<Hub>> Drop for TopicUse<H> {
    fn drop(&mut self) {
        self.hub.as_ref().topics().release(&self.path);
    }
}

impl Topic {
    /// Appends a text to the waiting ones.
    fn enqueue(
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

    fn state(&self) -> MutexGuard<'_, State> {
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
    fn announce(&mut self, text: &Text) -> DropCounts {
        self.broadcast(|outbox| outbox.push_or_drop(text.clone()))
    }

    /// Returns the subscribers that publishers have to wait for.
    fn awaited(&mut self) -> Vec<Outbox> {
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
    fn publish_waiting(&mut self) -> Delivered {
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
    fn remove_outbox(&mut self, id: u64) {
        if let Some(outbox) = self.subscribers.remove(&id) {
            outbox.abandon();
        }
    }

    /// Removes a subscriber. Returns true if it was the last one of its name.
    fn remove(&mut self, id: u64, name: &str) -> bool {
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

    fn publish(&mut self, author: &Arc<str>, text: &Text, history: HistoryPolicy) -> Delivered {
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
    /// Publishes a text to all subscribers, including this one, if it does not have to wait. Texts that
    /// waited are published before it. Returns the number of deliveries, or `None` if the text has to
    /// wait. Publishes nothing if the subscriber's session must end.
    pub fn try_publish(&self, text: &Text, history: HistoryPolicy) -> Option<usize> {
        if !self.outbox.may_publish() {
            return Some(0);
        }
        self.topic.try_publish(&self.name, text, history)
    }

    /// Publishes a text to all subscribers, including this one. Returns their number, or `None` if the
    /// subscriber's session must end.
    ///
    /// Texts are published in the order in which they came. The first one waits until each queue has
    /// room, but only for readers that make progress ([`Outbox::wait_for_room`]). The caller must take
    /// texts out of its own outbox meanwhile.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a text that still waits is not published.
    pub async fn publish(&self, text: &Text, history: HistoryPolicy) -> Option<usize> {
        let publisher = Box::new(self.outbox.clone());
        self.topic
            .publish(&self.name, text, history, publisher)
            .await
    }

    /// Ends the delivery of texts, because the subscriber no longer takes them out of its outbox.
    pub fn stop_receiving(&self) {
        self.topic.topic.state().remove_outbox(self.id);
    }

    /// Ends the subscription, once. If it was the last one of its name, `farewell` goes to all
    /// remaining subscribers.
    pub fn end(&mut self, farewell: impl FnOnce() -> Option<Text>) {
        if mem::replace(&mut self.has_ended, true) {
            return;
        }
        let mut state = self.topic.topic.state();
        if state.remove(self.id, &self.name)
            && let Some(farewell) = farewell()
        {
            self.topic.count_drops(state.announce(&farewell));
        }
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
