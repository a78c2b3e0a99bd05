//! The publish/subscribe hub in memory: topics, subscribers and histories.
//!
//! The hub does not interpret texts. Rooms use only [`Hub::subscribe`] and publishing, so a message
//! broker can replace the hub without a change in them.
//!
//! A text that finds a full queue waits in its topic until the queue has room, but not for a subscriber
//! that makes no progress. Each publisher that finds room publishes the waiting texts first, so all
//! subscribers get all texts in one order, and no text waits for the turn of another task.

use std::{
    convert::Infallible,
    mem,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures::future::{Either, select};
use tokio::task::yield_now;

use crate::{
    service::{
        topic::{HistoryPolicy, Publisher, Topic},
        topics::Topics,
    },
    session::{BufferBudget, DropCounts, Outbox, Text},
};

/// The hub: all topics.
#[derive(Debug, Default)]
pub struct Hub {
    topics: Mutex<Topics>,
    /// The texts dropped and the readers evicted by pushes, since the start.
    drops: Mutex<DropCounts>,
    /// The budget in which published texts count.
    budget: Arc<BufferBudget>,
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
    /// Creates a hub whose texts count in this budget.
    pub(crate) fn new(budget: Arc<BufferBudget>) -> Self {
        Self {
            budget,
            ..Self::default()
        }
    }

    /// Counts a text in the budget, once for all queues and histories that hold it.
    pub(crate) fn count(&self, text: Text) -> Text {
        self.budget.count(text)
    }

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
            self.count_drops(state.announce(&self.count(greeting)));
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

    /// Drops the history of a topic. Returns the number of its texts. A text that still waits is
    /// published later.
    pub fn purge(&self, path: &Arc<str>) -> usize {
        let topic = TopicUse::new(self, path);
        let mut state = topic.topic.state();
        let texts = state.kept.len();
        state.trim(HistoryPolicy { texts: 0, bytes: 0 });
        texts
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

impl Subscription {
    /// See [`Hub::count`].
    pub(crate) fn count(&self, text: Text) -> Text {
        self.topic.hub.count(text)
    }

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
            let farewell = self.topic.hub.count(farewell);
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
