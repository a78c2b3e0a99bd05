//! Topics with outboxes as subscribers.

use std::{
    num::NonZeroUsize,
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use super::{HistoryPolicy, Hub, MAX_IDLE_BYTES, MAX_IDLE_TOPICS, Subscribed};
use crate::{
    registry::ConnectionEntry,
    session::{Outbox, OutboxPolicy, OverflowPolicy, Text},
};

const HISTORY: HistoryPolicy = HistoryPolicy {
    texts: 2,
    bytes: 100,
};

fn text(text: &str) -> Text {
    Text::from(text.to_owned())
}

fn subscribe(hub: &Arc<Hub>, path: &str, name: &str) -> (Subscribed, Arc<ConnectionEntry>) {
    subscribe_with_history(hub, path, name, HISTORY)
}

fn subscribe_with_history(
    hub: &Arc<Hub>,
    path: &str,
    name: &str,
    history: HistoryPolicy,
) -> (Subscribed, Arc<ConnectionEntry>) {
    let entry = Arc::new(ConnectionEntry::default());
    let policy = OutboxPolicy {
        max_texts: NonZeroUsize::new(9).unwrap(),
        max_bytes: NonZeroUsize::new(1000).unwrap(),
        overflow: OverflowPolicy::Evict,
    };
    let outbox = Outbox::new(Arc::clone(&entry), policy);
    let greeting = || Some(text(&format!("{name} came")));
    let subscribed = hub.subscribe(&path.into(), name.into(), outbox, history, greeting);
    (subscribed, entry)
}

fn end(subscribed: &mut Subscribed, name: &str) {
    subscribed
        .subscription
        .end(|| Some(text(&format!("{name} went"))));
}

/// Returns the received texts without greetings and farewells.
fn received(entry: &ConnectionEntry) -> Vec<String> {
    let mut all = all(entry);
    all.retain(|text| !text.ends_with(" came") && !text.ends_with(" went"));
    all
}

fn all(entry: &ConnectionEntry) -> Vec<String> {
    std::iter::from_fn(|| entry.pushed()).collect()
}

fn kept(subscribed: &Subscribed) -> Vec<&str> {
    subscribed.kept.iter().map(|text| &**text).collect()
}

#[test]
fn text_reaches_only_subscribers_of_topic() {
    let hub = Arc::new(Hub::default());
    let (jane, jane_live) = subscribe(&hub, "/a", "jane");
    let (_joe, joe_live) = subscribe(&hub, "/a", "joe");
    let (_other, other_live) = subscribe(&hub, "/b", "jane");
    jane.subscription.publish(&text("1"), HISTORY);
    hub.publish(&"/a".into(), "jane", &text("2"), HISTORY);
    assert_eq!(received(&jane_live), ["1", "2"]);
    assert_eq!(received(&joe_live), ["1", "2"]);
    assert_eq!(received(&other_live), [""; 0]);
}

#[test]
fn eviction_counted_once_for_each_kind_of_push() {
    let pushes: [fn(&Arc<Hub>, &mut Subscribed); 4] = [
        |_, jane| {
            jane.subscription.publish(&text("too much"), HISTORY);
        },
        |hub, _| hub.publish(&"/a".into(), "jane", &text("too much"), HISTORY),
        |hub, _| drop(subscribe(hub, "/a", "joe")),
        |_, jane| end(jane, "jane"),
    ];
    for push in pushes {
        let hub = Arc::new(Hub::default());
        let (_slow, _live) = subscribe(&hub, "/a", "slow");
        let (mut jane, jane_live) = subscribe(&hub, "/a", "jane");
        for number in ["1", "2", "3", "4", "5", "6", "7"] {
            jane.subscription.publish(&text(number), HISTORY);
        }
        // `jane` reads. The queue of `slow` is full now.
        assert_eq!(received(&jane_live).len(), 7);
        assert_eq!(hub.stats().drops.evicted, 0);
        push(&hub, &mut jane);
        assert_eq!(hub.stats().drops.evicted, 1);
        hub.publish(&"/a".into(), "jane", &text("more"), HISTORY);
        assert_eq!(hub.stats().drops.evicted, 1);
    }
}

#[test]
fn late_subscriber_gets_bounded_history() {
    let hub = Arc::new(Hub::default());
    let (jane, _live) = subscribe(&hub, "/a", "jane");
    assert_eq!(kept(&jane), [""; 0]);
    for number in ["1", "2", "3"] {
        jane.subscription.publish(&text(number), HISTORY);
    }
    let (joe, _live) = subscribe(&hub, "/a", "joe");
    assert_eq!(kept(&joe), ["2", "3"]);
    let few_bytes = HistoryPolicy { texts: 9, bytes: 7 };
    jane.subscription.publish(&text("4567"), few_bytes);
    jane.subscription.publish(&text("890"), few_bytes);
    jane.subscription.publish(&text("abcde"), few_bytes);
    let (late, _live) = subscribe(&hub, "/a", "joe");
    assert_eq!(kept(&late), ["abcde"]);
}

#[test]
fn first_join_and_last_leave_announced_not_kept() {
    let hub = Arc::new(Hub::default());
    let (_joe, joe) = subscribe(&hub, "/a", "joe");
    let (mut first, jane) = subscribe(&hub, "/a", "jane");
    let (mut second, _live) = subscribe(&hub, "/a", "jane");
    end(&mut first, "jane");
    assert_eq!(all(&joe), ["joe came", "jane came"]);
    end(&mut second, "jane");
    end(&mut second, "jane");
    drop(second);
    assert_eq!(all(&joe), ["jane went"]);
    assert_eq!(all(&jane), ["jane came"]);
    let (late, _live) = subscribe(&hub, "/a", "jane");
    assert_eq!(kept(&late), [""; 0]);
    assert_eq!(all(&joe), ["jane came"]);
}

/// A user who reconnects while the old connection ends must not appear as absent.
#[test]
fn concurrent_leave_and_join_announced_in_order() {
    let hub = Arc::new(Hub::default());
    let (_joe, joe) = subscribe(&hub, "/a", "joe");
    all(&joe);
    let (mut jane, _live) = subscribe(&hub, "/a", "jane");
    let (leaving, left) = mpsc::channel();
    let _back = thread::scope(|scope| {
        let hub = &hub;
        let rejoin = scope.spawn(move || {
            left.recv().unwrap();
            subscribe(hub, "/a", "jane")
        });
        jane.subscription.end(|| {
            leaving.send(()).unwrap();
            // Enough time to overtake, if the lock did not prevent it.
            (0..1000).for_each(|_| thread::yield_now());
            assert!(!rejoin.is_finished());
            Some(text("jane went"))
        });
        rejoin.join().unwrap()
    });
    assert_eq!(all(&joe), ["jane came", "jane went", "jane came"]);
}

#[test]
fn subscribe_trims_history_to_its_policy() {
    let hub = Arc::new(Hub::default());
    let before = HistoryPolicy {
        texts: 9,
        bytes: 100,
    };
    for number in ["1", "2", "3"] {
        hub.publish(&"/a".into(), "jane", &text(number), before);
    }
    let (jane, _live) = subscribe(&hub, "/a", "jane");
    assert_eq!(kept(&jane), ["2", "3"]);
}

#[test]
fn idle_topic_kept_only_with_history() {
    let hub = Arc::new(Hub::default());
    let (jane, entry) = subscribe(&hub, "/silent", "jane");
    drop(jane);
    assert!(hub.topics().by_path.is_empty());
    hub.publish(&"/kept".into(), "jane", &text("1"), HISTORY);
    let nothing = HistoryPolicy { texts: 0, bytes: 0 };
    hub.publish(&"/forgotten".into(), "jane", &text("1"), nothing);
    assert_eq!(hub.topics().by_path.len(), 1);
    let (joe, _live) = subscribe(&hub, "/kept", "joe");
    assert_eq!(kept(&joe), ["1"]);
    assert_eq!(hub.topics().idle.len(), 0);
    drop(joe);
    assert_eq!(hub.topics().idle.len(), 1);
    assert_eq!(received(&entry), [""; 0]);
}

#[test]
fn longest_idle_topic_evicted_at_maximum() {
    let hub = Arc::new(Hub::default());
    for index in 0..=MAX_IDLE_TOPICS {
        hub.publish(&format!("/{index}").into(), "jane", &text("1"), HISTORY);
    }
    let topics = hub.topics();
    assert_eq!(topics.by_path.len(), MAX_IDLE_TOPICS);
    assert_eq!(topics.idle.len(), MAX_IDLE_TOPICS);
    assert!(!topics.by_path.contains_key("/0"));
}

#[test]
fn idle_topics_evicted_above_byte_limit() {
    let hub = Arc::new(Hub::default());
    let history = HistoryPolicy {
        texts: 9,
        bytes: usize::MAX,
    };
    let half = text(&"x".repeat(MAX_IDLE_BYTES / 2));
    for path in ["/1", "/2"] {
        hub.publish(&path.into(), "jane", &half, history);
    }
    let paths = || {
        let topics = hub.topics();
        let mut paths: Vec<_> = topics.by_path.keys().map(ToString::to_string).collect();
        paths.sort_unstable();
        paths
    };
    assert_eq!(paths(), ["/1", "/2"]);
    hub.publish(&"/3".into(), "jane", &text("x"), history);
    assert_eq!(paths(), ["/2", "/3"]);
    // A topic in use does not count and is not evicted.
    let (jane, _live) = subscribe_with_history(&hub, "/2", "jane", history);
    for _ in 0..2 {
        hub.publish(&"/4".into(), "jane", &half, history);
    }
    assert_eq!(paths(), ["/2", "/4"]);
    drop(jane);
    assert_eq!(paths(), ["/2"]);
    let (_jane, _live) = subscribe_with_history(&hub, "/2", "jane", history);
    assert_eq!(hub.topics().idle_bytes, 0);
    // A single topic above the limit is kept.
    for _ in 0..3 {
        hub.publish(&"/5".into(), "jane", &half, history);
    }
    assert_eq!(paths(), ["/2", "/5"]);
}

#[test]
fn topic_in_use_never_evicted() {
    let hub = Arc::new(Hub::default());
    hub.publish(&"/lobby".into(), "jane", &text("1"), HISTORY);
    for _ in 0..2 {
        let (mut jane, _live) = subscribe(&hub, "/lobby", "jane");
        // As a room does: it ends the subscription, then drops it.
        end(&mut jane, "jane");
        end(&mut jane, "jane");
    }
    assert_eq!(hub.topics().idle.len(), 1);
    let (jane, entry) = subscribe(&hub, "/lobby", "jane");
    assert_eq!(hub.topics().idle.len(), 0);
    for index in 0..=MAX_IDLE_TOPICS {
        hub.publish(&format!("/{index}").into(), "jane", &text("1"), HISTORY);
    }
    let (joe, _live) = subscribe(&hub, "/lobby", "joe");
    joe.subscription.publish(&text("hello"), HISTORY);
    assert_eq!(received(&entry), ["hello"]);
    drop(jane);
}

#[test]
fn concurrent_publishers_make_topic_idle_once() {
    let hub = Arc::new(Hub::default());
    let path = "/lobby".into();
    hub.publish(&path, "jane", &text("1"), HISTORY);
    let mut topics = hub.topics();
    topics.acquire(&path);
    topics.acquire(&path);
    topics.release(&path);
    assert_eq!(topics.idle.len(), 0);
    topics.release(&path);
    assert_eq!(topics.idle.len(), 1);
}

#[test]
fn busy_topic_does_not_block_other_topics() {
    let hub = Arc::new(Hub::default());
    let (mut jane, _live) = subscribe(&hub, "/busy", "jane");
    let topic = Arc::clone(&jane.subscription.topic);
    let busy = topic.state();
    let (done, is_done) = mpsc::channel();
    thread::scope(|scope| {
        let hub = &hub;
        scope.spawn(move || {
            // This waits for the busy topic, without the lock of all topics.
            jane.subscription.end(|| None);
        });
        scope.spawn(move || hub.publish(&"/busy".into(), "jane", &text("1"), HISTORY));
        scope.spawn(move || {
            while hub.topics().by_path["/busy"].users < 2 {
                thread::yield_now();
            }
            let (joe, _live) = subscribe(hub, "/other", "joe");
            hub.publish(&"/other".into(), "jane", &text("1"), HISTORY);
            drop(joe);
            done.send(()).unwrap();
        });
        assert_eq!(is_done.recv_timeout(Duration::from_secs(30)), Ok(()));
        drop(busy);
    });
}

/// One user's messages in 1 024 new rooms made the server forget the histories of all others.
#[test]
fn author_of_many_topics_displaces_only_own_ones() {
    let hub = Arc::new(Hub::default());
    let publish = |path: &str, author: &str| hub.publish(&path.into(), author, &text("1"), HISTORY);
    publish("/of joe", "joe");
    publish("/of a guest", "guest:1");
    // The last author of a topic does not become its owner.
    publish("/of joe", "jane");
    for index in 0..2 * MAX_IDLE_TOPICS {
        publish(&format!("/{index}"), "jane");
    }
    // Each guest is another author, and all are one owner.
    for index in 0..2 * MAX_IDLE_TOPICS {
        publish(&format!("/guests/{index}"), &format!("guest:{index}"));
    }
    let topics = hub.topics();
    assert_eq!(topics.idle.len(), MAX_IDLE_TOPICS);
    assert!(topics.by_path.contains_key("/of joe"));
    let share = |owner: &str| topics.shares[owner].topics;
    assert_eq!(share("joe"), 1);
    assert!(share("jane").abs_diff(share("guest:")) <= 1);
    drop(topics);
    let (joe, _live) = subscribe(&hub, "/of joe", "joe");
    assert_eq!(kept(&joe), ["1", "1"]);
}

#[test]
fn author_of_large_histories_displaces_only_own_ones() {
    let hub = Arc::new(Hub::default());
    let policy = HistoryPolicy {
        texts: 1,
        bytes: MAX_IDLE_BYTES,
    };
    hub.publish(&"/small".into(), "joe", &text("1"), policy);
    for index in 0..8 {
        let long = text(&"x".repeat(MAX_IDLE_BYTES / 4));
        hub.publish(&format!("/{index}").into(), "jane", &long, policy);
    }
    let topics = hub.topics();
    assert!(topics.idle_bytes <= MAX_IDLE_BYTES);
    assert!(topics.by_path.contains_key("/small"));
}
