//! The topics of a hub by path, and those that are kept only for their history.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use crate::service::topic::Topic;

/// The maximum number of topics without subscribers that are kept for their history. The one idle
/// for longest is evicted first, of the author with the most of them.
pub(super) const MAX_IDLE_TOPICS: usize = 1024;

/// The maximum of their history together, in bytes: a single user could leave messages in a thousand
/// rooms. One topic is always kept.
pub(super) const MAX_IDLE_BYTES: usize = 64 * 1024 * 1024;

#[derive(Debug, Default)]
pub(super) struct Topics {
    pub(super) by_path: HashMap<Arc<str>, TopicEntry>,
    /// Topics without users, in the order in which they became idle.
    pub(super) idle: BTreeMap<u64, IdleTopic>,
    last_idle: u64,
    /// The bytes of the idle topics' histories together.
    pub(super) idle_bytes: usize,
    /// The idle topics of each owner.
    pub(super) shares: HashMap<Arc<str>, Share>,
}

/// A topic that is kept for its history.
#[derive(Debug)]
pub(super) struct IdleTopic {
    path: Arc<str>,
    /// The author of the oldest text, or the kind of author.
    owner: Arc<str>,
    /// The bytes of the history.
    bytes: usize,
}

/// The idle topics of one owner.
#[derive(Debug, Default)]
pub(super) struct Share {
    pub(super) topics: usize,
    bytes: usize,
}

#[derive(Debug, Default)]
pub(super) struct TopicEntry {
    pub(super) topic: Arc<Topic>,
    /// The number of subscribers and of publishers in progress. The topic stays while there is one.
    pub(super) users: usize,
    /// The key in `idle`, while the topic has no users.
    idle_since: Option<u64>,
}

/// Returns the owner that an author's texts count for. All guests are one owner: a guest is a new
/// author with each connection. A user name has no `:`.
fn owner(author: &Arc<str>) -> Arc<str> {
    match author.split_once(':') {
        Some((kind, _)) => format!("{kind}:").into(),
        None => Arc::clone(author),
    }
}

impl Topics {
    /// Returns the topic of this path and counts a user. [`Topics::release`] must follow.
    pub(super) fn acquire(&mut self, path: &Arc<str>) -> Arc<Topic> {
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
    pub(super) fn release(&mut self, path: &Arc<str>) {
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
