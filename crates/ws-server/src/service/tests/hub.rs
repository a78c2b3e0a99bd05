//! Topics and their subscribers, who are outboxes.

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
    subscribe_to_more(hub, path, name, HISTORY)
}

fn subscribe_to_more(
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

/// What came, but for who came and went.
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
fn a_text_comes_to_all_of_its_topic_and_to_nobody_else() {
    let hub = Arc::new(Hub::default());
    let (jane, jane_live) = subscribe(&hub, "/a", "jane");
    let (_joe, joe_live) = subscribe(&hub, "/a", "joe");
    let (_other, other_live) = subscribe(&hub, "/b", "jane");
    jane.subscription.publish(&text("1"), HISTORY);
    hub.publish(&"/a".into(), &text("2"), HISTORY);
    assert_eq!(received(&jane_live), ["1", "2"]);
    assert_eq!(received(&joe_live), ["1", "2"]);
    assert_eq!(received(&other_live), [""; 0]);
}

#[test]
fn whoever_is_sent_away_is_counted_once_by_whatever_was_too_much() {
    let ways: [fn(&Arc<Hub>, &mut Subscribed); 4] = [
        |_, jane| {
            jane.subscription.publish(&text("too much"), HISTORY);
        },
        |hub, _| hub.publish(&"/a".into(), &text("too much"), HISTORY),
        |hub, _| drop(subscribe(hub, "/a", "joe")),
        |_, jane| end(jane, "jane"),
    ];
    for speak in ways {
        let hub = Arc::new(Hub::default());
        let (_slow, _live) = subscribe(&hub, "/a", "slow");
        let (mut jane, jane_live) = subscribe(&hub, "/a", "jane");
        for said in ["1", "2", "3", "4", "5", "6", "7"] {
            jane.subscription.publish(&text(said), HISTORY);
        }
        // She reads, and the other one has as many as there is room for.
        assert_eq!(received(&jane_live).len(), 7);
        assert_eq!(hub.stats().drops.evicted, 0);
        speak(&hub, &mut jane);
        assert_eq!(hub.stats().drops.evicted, 1);
        hub.publish(&"/a".into(), &text("more"), HISTORY);
        assert_eq!(hub.stats().drops.evicted, 1);
    }
}

#[test]
fn whoever_comes_later_finds_the_last_ones() {
    let hub = Arc::new(Hub::default());
    let (jane, _live) = subscribe(&hub, "/a", "jane");
    assert_eq!(kept(&jane), [""; 0]);
    for said in ["1", "2", "3"] {
        jane.subscription.publish(&text(said), HISTORY);
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
fn the_first_and_the_last_of_a_name_are_told_and_not_kept() {
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

/// Somebody who comes back while an older connection goes must not look as if she were gone.
#[test]
fn whoever_comes_and_goes_at_once_is_told_in_that_order() {
    let hub = Arc::new(Hub::default());
    let (_joe, joe) = subscribe(&hub, "/a", "joe");
    all(&joe);
    let (mut jane, _live) = subscribe(&hub, "/a", "jane");
    let (is_going, goes) = mpsc::channel();
    let _back = thread::scope(|scope| {
        let hub = &hub;
        let comes_back = scope.spawn(move || {
            goes.recv().unwrap();
            subscribe(hub, "/a", "jane")
        });
        jane.subscription.end(|| {
            is_going.send(()).unwrap();
            // Time enough to overtake, were nothing in the way.
            (0..1000).for_each(|_| thread::yield_now());
            assert!(!comes_back.is_finished());
            Some(text("jane went"))
        });
        comes_back.join().unwrap()
    });
    assert_eq!(all(&joe), ["jane came", "jane went", "jane came"]);
}

#[test]
fn whoever_comes_finds_no_more_than_is_to_be_kept_by_now() {
    let hub = Arc::new(Hub::default());
    let before = HistoryPolicy {
        texts: 9,
        bytes: 100,
    };
    for said in ["1", "2", "3"] {
        hub.publish(&"/a".into(), &text(said), before);
    }
    let (jane, _live) = subscribe(&hub, "/a", "jane");
    assert_eq!(kept(&jane), ["2", "3"]);
}

#[test]
fn an_empty_topic_is_kept_for_what_was_said_there_and_for_nothing_else() {
    let hub = Arc::new(Hub::default());
    let (jane, entry) = subscribe(&hub, "/silent", "jane");
    drop(jane);
    assert!(hub.topics().by_path.is_empty());
    hub.publish(&"/said".into(), &text("1"), HISTORY);
    let nothing = HistoryPolicy { texts: 0, bytes: 0 };
    hub.publish(&"/forgotten".into(), &text("1"), nothing);
    assert_eq!(hub.topics().by_path.len(), 1);
    let (joe, _live) = subscribe(&hub, "/said", "joe");
    assert_eq!(kept(&joe), ["1"]);
    assert_eq!(hub.topics().idle.len(), 0);
    drop(joe);
    assert_eq!(hub.topics().idle.len(), 1);
    assert_eq!(received(&entry), [""; 0]);
}

#[test]
fn of_quiet_topics_the_one_that_was_left_first_is_forgotten() {
    let hub = Arc::new(Hub::default());
    for index in 0..=MAX_IDLE_TOPICS {
        hub.publish(&format!("/{index}").into(), &text("1"), HISTORY);
    }
    let topics = hub.topics();
    assert_eq!(topics.by_path.len(), MAX_IDLE_TOPICS);
    assert_eq!(topics.idle.len(), MAX_IDLE_TOPICS);
    assert!(!topics.by_path.contains_key("/0"));
}

#[test]
fn quiet_topics_are_forgotten_when_they_keep_too_much_together() {
    let hub = Arc::new(Hub::default());
    let history = HistoryPolicy {
        texts: 9,
        bytes: usize::MAX,
    };
    let half = text(&"x".repeat(MAX_IDLE_BYTES / 2));
    for path in ["/1", "/2"] {
        hub.publish(&path.into(), &half, history);
    }
    let paths = || {
        let topics = hub.topics();
        let mut paths: Vec<_> = topics.by_path.keys().map(ToString::to_string).collect();
        paths.sort_unstable();
        paths
    };
    assert_eq!(paths(), ["/1", "/2"]);
    hub.publish(&"/3".into(), &text("x"), history);
    assert_eq!(paths(), ["/2", "/3"]);
    // What is in use does not count, whatever it keeps, and is forgotten no sooner.
    let (jane, _live) = subscribe_to_more(&hub, "/2", "jane", history);
    for _ in 0..2 {
        hub.publish(&"/4".into(), &half, history);
    }
    assert_eq!(paths(), ["/2", "/4"]);
    drop(jane);
    assert_eq!(paths(), ["/2"]);
    let (_jane, _live) = subscribe_to_more(&hub, "/2", "jane", history);
    assert_eq!(hub.topics().idle_bytes, 0);
    // One that is too much by itself is kept alone.
    for _ in 0..3 {
        hub.publish(&"/5".into(), &half, history);
    }
    assert_eq!(paths(), ["/2", "/5"]);
}

#[test]
fn a_topic_in_use_is_not_forgotten_however_often_it_was_quiet() {
    let hub = Arc::new(Hub::default());
    hub.publish(&"/lobby".into(), &text("1"), HISTORY);
    for _ in 0..2 {
        let (mut jane, _live) = subscribe(&hub, "/lobby", "jane");
        // As a room does it: it ends the subscription, and then drops it.
        end(&mut jane, "jane");
        end(&mut jane, "jane");
    }
    assert_eq!(hub.topics().idle.len(), 1);
    let (jane, entry) = subscribe(&hub, "/lobby", "jane");
    assert_eq!(hub.topics().idle.len(), 0);
    for index in 0..=MAX_IDLE_TOPICS {
        hub.publish(&format!("/{index}").into(), &text("1"), HISTORY);
    }
    let (joe, _live) = subscribe(&hub, "/lobby", "joe");
    joe.subscription.publish(&text("hello"), HISTORY);
    assert_eq!(received(&entry), ["hello"]);
    drop(jane);
}

#[test]
fn a_topic_that_two_publish_on_at_once_is_quiet_once() {
    let hub = Arc::new(Hub::default());
    let path = "/lobby".into();
    hub.publish(&path, &text("1"), HISTORY);
    let mut topics = hub.topics();
    topics.acquire(&path);
    topics.acquire(&path);
    topics.release(&path);
    assert_eq!(topics.idle.len(), 0);
    topics.release(&path);
    assert_eq!(topics.idle.len(), 1);
}

#[test]
fn nobody_waits_for_another_topic() {
    let hub = Arc::new(Hub::default());
    let (mut jane, _live) = subscribe(&hub, "/busy", "jane");
    let topic = Arc::clone(&jane.subscription.topic);
    let busy = topic.state();
    let (done, is_done) = mpsc::channel();
    thread::scope(|scope| {
        let hub = &hub;
        scope.spawn(move || {
            // These wait for the busy topic, and for nothing that others need.
            jane.subscription.end(|| None);
        });
        scope.spawn(move || hub.publish(&"/busy".into(), &text("1"), HISTORY));
        scope.spawn(move || {
            while hub.topics().by_path["/busy"].users < 2 {
                thread::yield_now();
            }
            let (joe, _live) = subscribe(hub, "/other", "joe");
            hub.publish(&"/other".into(), &text("1"), HISTORY);
            drop(joe);
            done.send(()).unwrap();
        });
        assert_eq!(is_done.recv_timeout(Duration::from_secs(30)), Ok(()));
        drop(busy);
    });
}
