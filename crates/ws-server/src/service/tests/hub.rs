//! Topics with outboxes as subscribers.

use std::{
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use futures::FutureExt as _;
use tokio::time::{Instant, advance, sleep};

use super::{HistoryPolicy, Hub, Publisher, Subscribed};
use crate::{
    registry::ConnectionEntry,
    service::{
        topic::Unrestricted,
        topics::{MAX_IDLE_BYTES, MAX_IDLE_TOPICS},
    },
    session::{Outbox, OutboxPolicy, OverflowPolicy, Text},
};

/// The time in which a blocked reader must make progress.
const WINDOW: Duration = Duration::from_secs(6);

/// The bytes that count as progress in that time.
const PROGRESS: u64 = 64 * 1024;

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

/// Publishes a text that does not have to wait.
fn publish(subscribed: &Subscribed, message: &str) {
    let delivered = subscribed.subscription.try_publish(&text(message), HISTORY);
    assert!(delivered.is_some(), "{message} has to wait");
}

/// Publishes a text that does not have to wait, without a subscription.
fn post(hub: &Hub, path: &str, message: &Text, history: HistoryPolicy) {
    post_as(hub, "jane", path, message, history);
}

fn post_as(hub: &Hub, author: &str, path: &str, message: &Text, history: HistoryPolicy) {
    let path = path.into();
    let publish = hub.publish(&path, author, message, history, Unrestricted);
    assert!(publish.now_or_never().is_some(), "{path} has to wait");
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
    publish(&jane, "1");
    post(&hub, "/a", &text("2"), HISTORY);
    assert_eq!(received(&jane_live), ["1", "2"]);
    assert_eq!(received(&joe_live), ["1", "2"]);
    assert_eq!(received(&other_live), [""; 0]);
}

#[test]
fn late_subscriber_gets_bounded_history() {
    let hub = Arc::new(Hub::default());
    let (jane, _live) = subscribe(&hub, "/a", "jane");
    assert_eq!(kept(&jane), [""; 0]);
    for number in ["1", "2", "3"] {
        publish(&jane, number);
    }
    let (joe, _live) = subscribe(&hub, "/a", "joe");
    assert_eq!(kept(&joe), ["2", "3"]);
    let few_bytes = HistoryPolicy { texts: 9, bytes: 7 };
    jane.subscription
        .try_publish(&text("4567"), few_bytes)
        .unwrap();
    jane.subscription
        .try_publish(&text("890"), few_bytes)
        .unwrap();
    jane.subscription
        .try_publish(&text("abcde"), few_bytes)
        .unwrap();
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
        post(&hub, "/a", &text(number), before);
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
    post(&hub, "/kept", &text("1"), HISTORY);
    let nothing = HistoryPolicy { texts: 0, bytes: 0 };
    post(&hub, "/forgotten", &text("1"), nothing);
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
        post(&hub, &format!("/{index}"), &text("1"), HISTORY);
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
        post(&hub, path, &half, history);
    }
    let paths = || {
        let topics = hub.topics();
        let mut paths: Vec<_> = topics.by_path.keys().map(ToString::to_string).collect();
        paths.sort_unstable();
        paths
    };
    assert_eq!(paths(), ["/1", "/2"]);
    post(&hub, "/3", &text("x"), history);
    assert_eq!(paths(), ["/2", "/3"]);
    // A topic in use does not count and is not evicted.
    let (jane, _live) = subscribe_with_history(&hub, "/2", "jane", history);
    for _ in 0..2 {
        post(&hub, "/4", &half, history);
    }
    assert_eq!(paths(), ["/2", "/4"]);
    drop(jane);
    assert_eq!(paths(), ["/2"]);
    let (_jane, _live) = subscribe_with_history(&hub, "/2", "jane", history);
    assert_eq!(hub.topics().idle_bytes, 0);
    // A single topic above the limit is kept.
    for _ in 0..3 {
        post(&hub, "/5", &half, history);
    }
    assert_eq!(paths(), ["/2", "/5"]);
}

#[test]
fn topic_in_use_never_evicted() {
    let hub = Arc::new(Hub::default());
    post(&hub, "/lobby", &text("1"), HISTORY);
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
        post(&hub, &format!("/{index}"), &text("1"), HISTORY);
    }
    let (joe, _live) = subscribe(&hub, "/lobby", "joe");
    publish(&joe, "hello");
    assert_eq!(received(&entry), ["hello"]);
    drop(jane);
}

#[test]
fn concurrent_publishers_make_topic_idle_once() {
    let hub = Arc::new(Hub::default());
    let path: Arc<str> = "/lobby".into();
    post(&hub, &path, &text("1"), HISTORY);
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
    let topic = Arc::clone(&jane.subscription.topic.topic);
    let busy = topic.state();
    let (done, is_done) = mpsc::channel();
    thread::scope(|scope| {
        let hub = &hub;
        scope.spawn(move || {
            // This waits for the busy topic, without the lock of all topics.
            jane.subscription.end(|| None);
        });
        scope.spawn(move || post(hub, "/busy", &text("1"), HISTORY));
        scope.spawn(move || {
            while hub.topics().by_path["/busy"].users < 2 {
                thread::yield_now();
            }
            let (joe, _live) = subscribe(hub, "/other", "joe");
            post(hub, "/other", &text("1"), HISTORY);
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
    let publish = |path: &str, author: &str| post_as(&hub, author, path, &text("1"), HISTORY);
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
fn purge_drops_history_and_idle_topic() {
    let hub = Arc::new(Hub::default());
    assert_eq!(hub.purge(&"/".into()), 0);
    assert!(hub.topics().by_path.is_empty());
    for number in ["1", "2"] {
        post(&hub, "/", &text(number), HISTORY);
    }
    assert_eq!(hub.purge(&"/".into()), 2);
    let topics = hub.topics();
    assert!(topics.by_path.is_empty() && topics.idle.is_empty() && topics.shares.is_empty());
    assert_eq!(topics.idle_bytes, 0);
    drop(topics);

    // With a subscriber, the topic stays, and so do the texts that wait for the subscriber.
    let (jane, entry) = subscribe(&hub, "/", "jane");
    post(&hub, "/", &text("3"), HISTORY);
    assert_eq!(hub.purge(&"/".into()), 1);
    assert_eq!(received(&entry), ["3"]);
    post(&hub, "/", &text("4"), HISTORY);
    let (joe, _entry) = subscribe(&hub, "/", "joe");
    assert_eq!(kept(&joe), ["4"]);
    drop((jane, joe));
    assert_eq!(hub.topics().idle_bytes, 1);
}

#[test]
fn author_of_large_histories_displaces_only_own_ones() {
    let hub = Arc::new(Hub::default());
    let policy = HistoryPolicy {
        texts: 1,
        bytes: MAX_IDLE_BYTES,
    };
    post_as(&hub, "joe", "/small", &text("1"), policy);
    for index in 0..8 {
        let long = text(&"x".repeat(MAX_IDLE_BYTES / 4));
        post_as(&hub, "jane", &format!("/{index}"), &long, policy);
    }
    let topics = hub.topics();
    assert!(topics.idle_bytes <= MAX_IDLE_BYTES);
    assert!(topics.by_path.contains_key("/small"));
}

/// Fills the queue of every subscriber but the publisher, which reads.
fn fill(jane: &Subscribed, jane_entry: &ConnectionEntry) {
    while jane.subscription.try_publish(&text("x"), HISTORY).is_some() {
        all(jane_entry);
    }
}

fn evicted(hub: &Hub) -> u64 {
    hub.stats().drops.evicted
}

#[tokio::test(start_paused = true)]
async fn publisher_waits_until_half_a_full_queue_is_read() {
    let hub = Arc::new(Hub::default());
    let (_slow, slow) = subscribe(&hub, "/a", "slow");
    let (jane, jane_entry) = subscribe(&hub, "/a", "jane");
    fill(&jane, &jane_entry);
    let last = text("last");
    let mut publish = Box::pin(jane.subscription.publish(&last, HISTORY));
    assert!((&mut publish).now_or_never().is_none());
    // Of 9 texts, 4 may be left.
    for _ in 0..4 {
        slow.pushed().unwrap();
        assert!((&mut publish).now_or_never().is_none());
    }
    slow.pushed().unwrap();
    assert_eq!((&mut publish).now_or_never(), Some(Some(2)));
    assert_eq!(all(&slow).last().unwrap(), "last");
    assert_eq!(evicted(&hub), 0);
}

#[tokio::test(start_paused = true)]
async fn waiting_texts_published_in_order() {
    let hub = Arc::new(Hub::default());
    let (_slow, slow) = subscribe(&hub, "/a", "slow");
    let (jane, jane_entry) = subscribe(&hub, "/a", "jane");
    fill(&jane, &jane_entry);
    let (first, second, cancelled) = (text("first"), text("second"), text("cancelled"));
    let mut one = Box::pin(jane.subscription.publish(&first, HISTORY));
    assert!((&mut one).now_or_never().is_none());
    let mut none = Box::pin(jane.subscription.publish(&cancelled, HISTORY));
    assert!((&mut none).now_or_never().is_none());
    let path = "/a".into();
    let mut two = Box::pin(hub.publish(&path, "jane", &second, HISTORY, Unrestricted));
    assert!((&mut two).now_or_never().is_none());
    drop(none);
    assert_eq!(all(&slow).len(), 9);
    publish(&jane, "late");
    assert_eq!(all(&slow), ["first", "second", "late"]);
    assert_eq!(one.now_or_never(), Some(Some(2)));
    assert_eq!(two.now_or_never(), Some(Some(2)));
}

#[tokio::test(start_paused = true)]
async fn stalled_reader_evicted_after_window() {
    let hub = Arc::new(Hub::default());
    let (_slow, slow) = subscribe(&hub, "/a", "slow");
    let (_other, other) = subscribe(&hub, "/a", "other");
    let (jane, jane_entry) = subscribe(&hub, "/a", "jane");
    for entry in [&slow, &other] {
        all(entry);
        entry.progress().on_blocked(1_000_000);
    }
    fill(&jane, &jane_entry);
    let start = Instant::now();
    jane.subscription.publish(&text("x"), HISTORY).await;
    // Both at once, not one after the other.
    assert_eq!(start.elapsed(), WINDOW);
    for entry in [slow, other] {
        assert_eq!(entry.ended(), Some(proto::close::CloseReason::SlowReader));
    }
    assert_eq!(evicted(&hub), 2);
    publish(&jane, "x");
    assert_eq!(evicted(&hub), 2);
}

#[tokio::test(start_paused = true)]
async fn stalled_reader_that_drops_delays_once() {
    let hub = Arc::new(Hub::default());
    let entry = Arc::new(ConnectionEntry::default());
    let policy = OutboxPolicy {
        max_texts: NonZeroUsize::new(9).unwrap(),
        max_bytes: NonZeroUsize::new(1000).unwrap(),
        overflow: OverflowPolicy::DropOldest,
    };
    let outbox = Outbox::new(Arc::clone(&entry), policy);
    let _slow = hub.subscribe(&"/a".into(), "slow".into(), outbox, HISTORY, || None);
    let (jane, jane_entry) = subscribe(&hub, "/a", "jane");
    entry.progress().on_blocked(0);
    fill(&jane, &jane_entry);
    jane.subscription.publish(&text("x"), HISTORY).await;
    for _ in 0..20 {
        all(&jane_entry);
        publish(&jane, "x");
    }
    assert_eq!(hub.stats().drops.dropped, 21);
    assert_eq!(entry.pushed().unwrap(), "21 lost");
    // With room in its queue, it is waited for again.
    assert_eq!(all(&entry).len(), 9);
    fill(&jane, &jane_entry);
}

#[tokio::test(start_paused = true)]
async fn reader_with_progress_is_waited_for() {
    let hub = Arc::new(Hub::default());
    let (_slow, slow) = subscribe(&hub, "/a", "slow");
    let (jane, jane_entry) = subscribe(&hub, "/a", "jane");
    slow.progress().on_blocked(0);
    fill(&jane, &jane_entry);
    let last = text("x");
    let mut publish = Box::pin(jane.subscription.publish(&last, HISTORY));
    for windows in 1..=20 {
        assert!((&mut publish).now_or_never().is_none());
        slow.progress().on_blocked(windows * PROGRESS);
        advance(WINDOW).await;
    }
    assert!((&mut publish).now_or_never().is_none());
    // One byte less is too little.
    slow.progress().on_blocked(21 * PROGRESS - 1);
    advance(WINDOW).await;
    assert_eq!((&mut publish).now_or_never(), Some(Some(2)));
    assert_eq!(evicted(&hub), 1);
}

/// The reader's task had no turn yet.
#[tokio::test(start_paused = true)]
async fn reader_that_is_not_blocked_is_waited_for() {
    let hub = Arc::new(Hub::default());
    let (_slow, slow) = subscribe(&hub, "/a", "slow");
    let (jane, jane_entry) = subscribe(&hub, "/a", "jane");
    fill(&jane, &jane_entry);
    let last = text("x");
    let mut publish = Box::pin(jane.subscription.publish(&last, HISTORY));
    for _ in 0..20 {
        assert!((&mut publish).now_or_never().is_none());
        advance(WINDOW).await;
    }
    assert_eq!(all(&slow).len(), 9);
    assert_eq!((&mut publish).now_or_never(), Some(Some(2)));
}

#[tokio::test(start_paused = true)]
async fn leaving_reader_ends_the_wait() {
    for leave in [
        |mut slow: Subscribed| slow.subscription.end(|| None),
        |slow: Subscribed| slow.subscription.stop_receiving(),
    ] {
        let hub = Arc::new(Hub::default());
        let (slow, _entry) = subscribe(&hub, "/a", "slow");
        let (jane, jane_entry) = subscribe(&hub, "/a", "jane");
        fill(&jane, &jane_entry);
        let last = text("x");
        let mut publish = Box::pin(jane.subscription.publish(&last, HISTORY));
        assert!((&mut publish).now_or_never().is_none());
        leave(slow);
        assert_eq!((&mut publish).now_or_never(), Some(Some(1)));
        assert_eq!(evicted(&hub), 0);
    }
}

#[test]
fn announcements_neither_wait_nor_evict() {
    let hub = Arc::new(Hub::default());
    let (_slow, slow) = subscribe(&hub, "/a", "slow");
    slow.progress().on_blocked(0);
    for _ in 0..10 {
        let (mut joe, _entry) = subscribe(&hub, "/a", "joe");
        end(&mut joe, "joe");
    }
    // Its own greeting, and 8 more.
    assert_eq!(slow.ended(), None);
    let received = all(&slow);
    assert_eq!(received.len(), 10);
    assert_eq!(received[9], "12 lost");
    assert_eq!(evicted(&hub), 0);
}

/// Subscribes to a topic whose full queues drop the oldest texts.
fn subscribe_with_drops(
    hub: &Arc<Hub>,
    max_texts: usize,
    max_bytes: usize,
) -> (Subscribed, Arc<ConnectionEntry>) {
    let entry = Arc::new(ConnectionEntry::default());
    let policy = OutboxPolicy {
        max_texts: NonZeroUsize::new(max_texts).unwrap(),
        max_bytes: NonZeroUsize::new(max_bytes).unwrap(),
        overflow: OverflowPolicy::DropOldest,
    };
    let outbox = Outbox::new(Arc::clone(&entry), policy);
    let subscribed = hub.subscribe(&"/a".into(), "slow".into(), outbox, HISTORY, || None);
    (subscribed, entry)
}

/// A text that is dropped for a new one must not make the queue count as drained.
#[tokio::test(start_paused = true)]
async fn stalled_reader_delays_long_texts_once() {
    for (max_texts, max_bytes, length) in [(9, 1000, 1000), (1, 1000, 1), (2, 1000, 1)] {
        let hub = Arc::new(Hub::default());
        let (_slow, slow) = subscribe_with_drops(&hub, max_texts, max_bytes);
        slow.progress().on_blocked(0);
        let path = "/a".into();
        let long = text(&"x".repeat(length));
        let start = Instant::now();
        for _ in 0..20 {
            hub.publish(&path, "jane", &long, HISTORY, Unrestricted)
                .await;
        }
        assert_eq!(start.elapsed(), WINDOW, "{max_texts} {length}");
    }
}

/// A reader that makes progress again is waited for again after one window, though its queue is never
/// half empty.
#[tokio::test(start_paused = true)]
async fn reader_with_progress_after_stall_is_waited_for() {
    let hub = Arc::new(Hub::default());
    let (_slow, slow) = subscribe_with_drops(&hub, 9, 1000);
    let path = "/a".into();
    let message = text("x");
    slow.progress().on_blocked(0);
    for _ in 0..10 {
        hub.publish(&path, "jane", &message, HISTORY, Unrestricted)
            .await;
    }
    assert_eq!(hub.stats().drops.dropped, 1);
    // It takes a megabyte in each of the next seconds.
    let mut waits = 0;
    for second in 1..=20 {
        advance(Duration::from_secs(1)).await;
        slow.progress().on_blocked(second << 20);
        while slow.pushed().is_some_and(|text| text.ends_with(" lost")) {}
        for _ in 0..2 {
            let publish = hub.publish(&path, "jane", &message, HISTORY, Unrestricted);
            waits += usize::from(publish.now_or_never().is_none());
        }
    }
    let dropped = hub.stats().drops.dropped;
    assert!(dropped <= 1 + 6, "{dropped} lost by a reader with progress");
    assert!(waits > 10, "{waits} of 40 texts waited for it");
}

/// Announcements alone must not let the list of full subscribers grow.
#[test]
fn full_subscribers_are_listed_once() {
    let hub = Arc::new(Hub::default());
    let (slow, entry) = subscribe(&hub, "/a", "slow");
    entry.progress().on_blocked(0);
    for _ in 0..1000 {
        let (mut joe, _entry) = subscribe(&hub, "/a", "joe");
        end(&mut joe, "joe");
    }
    let listed = slow.subscription.topic.topic.state().full.len();
    assert!(listed <= 2, "{listed} entries for one full subscriber");
}

/// The window of a reader whose task had no turn for long starts when its socket is blocked.
#[tokio::test(start_paused = true)]
async fn window_starts_when_socket_blocks() {
    let hub = Arc::new(Hub::default());
    let (_slow, slow) = subscribe(&hub, "/a", "slow");
    let (jane, jane_entry) = subscribe(&hub, "/a", "jane");
    fill(&jane, &jane_entry);
    let last = text("x");
    let mut publish = Box::pin(jane.subscription.publish(&last, HISTORY));
    let start = Instant::now();
    let first_turn = Duration::from_millis(5999);
    let block = async {
        sleep(first_turn).await;
        slow.progress().on_blocked(16 * 1024);
    };
    let (published, ()) = tokio::join!(&mut publish, block);
    assert_eq!(published, Some(2));
    assert_eq!(start.elapsed(), first_turn + WINDOW);
    assert_eq!(evicted(&hub), 1);
}

/// A reader that had taken everything must not be judged by an older window.
#[tokio::test(start_paused = true)]
async fn window_ends_when_reader_took_everything() {
    let hub = Arc::new(Hub::default());
    let (_slow, slow) = subscribe(&hub, "/a", "slow");
    let (jane, jane_entry) = subscribe(&hub, "/a", "jane");
    slow.progress().on_blocked(0);
    fill(&jane, &jane_entry);
    advance(Duration::from_millis(5999)).await;
    all(&slow);
    slow.progress().on_flushed();
    slow.progress().on_blocked(100);
    fill(&jane, &jane_entry);
    let start = Instant::now();
    jane.subscription.publish(&text("x"), HISTORY).await;
    assert_eq!(start.elapsed(), WINDOW);
    assert_eq!(evicted(&hub), 1);
}

/// A reader that takes half its queue without progress must not be waited for anew.
#[tokio::test(start_paused = true)]
async fn window_goes_on_when_half_the_queue_was_taken() {
    let hub = Arc::new(Hub::default());
    let (_slow, slow) = subscribe(&hub, "/a", "slow");
    let (jane, jane_entry) = subscribe(&hub, "/a", "jane");
    slow.progress().on_blocked(0);
    let start = Instant::now();
    let message = text("x");
    while evicted(&hub) == 0 {
        fill(&jane, &jane_entry);
        let publish = jane.subscription.publish(&message, HISTORY);
        let take = async {
            sleep(Duration::from_secs(1)).await;
            for _ in 0..5 {
                slow.pushed().unwrap();
            }
            slow.progress().on_blocked(start.elapsed().as_secs());
        };
        tokio::join!(publish, take);
        all(&jane_entry);
    }
    assert!(start.elapsed() <= WINDOW + Duration::from_secs(1));
}

/// The right to publish, as a test decides.
#[derive(Debug)]
struct Switch(Arc<AtomicBool>);

impl Publisher for Switch {
    fn may_publish(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The right is checked although another publisher publishes the waiting text.
#[tokio::test(start_paused = true)]
async fn waiting_text_of_revoked_publisher_dropped() {
    let hub = Arc::new(Hub::default());
    let (_slow, slow) = subscribe(&hub, "/a", "slow");
    let (jane, jane_entry) = subscribe(&hub, "/a", "jane");
    fill(&jane, &jane_entry);
    let (path, message) = ("/a".into(), text("revoked"));
    let right = Arc::new(AtomicBool::new(true));
    let switch = || Switch(Arc::clone(&right));
    let mut post = Box::pin(hub.publish(&path, "jane", &message, HISTORY, switch()));
    assert_eq!((&mut post).now_or_never(), None);
    right.store(false, Ordering::Relaxed);
    all(&slow);
    publish(&jane, "next");
    assert_eq!(all(&slow), ["next"]);
    assert_eq!(post.now_or_never(), Some(None));
    let later = hub.publish(&path, "jane", &message, HISTORY, switch());
    assert_eq!(later.now_or_never(), Some(None));
}

/// A publisher that runs publishes the texts of those that wait for their turn.
#[tokio::test(start_paused = true)]
async fn waiting_texts_published_by_any_publisher() {
    let hub = Arc::new(Hub::default());
    let (_slow, slow) = subscribe(&hub, "/a", "slow");
    let (jane, jane_entry) = subscribe(&hub, "/a", "jane");
    fill(&jane, &jane_entry);
    let waiting = ["1", "2", "3"].map(text);
    let mut posts = Vec::new();
    for message in &waiting {
        let mut post = Box::pin(jane.subscription.publish(message, HISTORY));
        assert_eq!((&mut post).now_or_never(), None);
        posts.push(post);
    }
    all(&slow);
    let delivered = jane.subscription.try_publish(&text("4"), HISTORY);
    assert_eq!(delivered, Some(2 * 4));
    assert_eq!(all(&slow), ["1", "2", "3", "4"]);
    for post in posts {
        assert_eq!(post.now_or_never(), Some(Some(2)));
    }
}

/// The lock of a topic is not held for all waiting texts of a large room.
#[tokio::test(start_paused = true)]
async fn many_waiting_texts_published_in_parts() {
    let hub = Arc::new(Hub::default());
    let (_slow, slow) = subscribe(&hub, "/a", "slow");
    let (jane, jane_entry) = subscribe(&hub, "/a", "jane");
    fill(&jane, &jane_entry);
    let _crowd: Vec<_> = (0..998).map(|_| subscribe(&hub, "/a", "joe")).collect();
    let message = text("x");
    let mut posts = Vec::new();
    for _ in 0..6 {
        let mut post = Box::pin(jane.subscription.publish(&message, HISTORY));
        assert_eq!((&mut post).now_or_never(), None);
        posts.push(post);
    }
    all(&slow);
    all(&jane_entry);
    let delivered = jane.subscription.try_publish(&text("y"), HISTORY);
    assert_eq!(delivered, None);
    assert_eq!(all(&slow).len(), 3);
    for post in posts {
        assert_eq!(post.await, Some(1000));
    }
    publish(&jane, "y");
}

/// Two publishers always have a next text. A queue that was full once must not make each text wait
/// for the turn of the other publisher.
#[tokio::test]
#[expect(
    clippy::disallowed_methods,
    reason = "no drain waits for the tasks of a test"
)]
async fn texts_do_not_wait_after_full_queue_has_room() {
    let hub = Arc::new(Hub::default());
    let (_slow, slow) = subscribe(&hub, "/a", "slow");
    let mut tasks = Vec::new();
    for name in ["jane", "joe"] {
        let (publisher, entry) = subscribe(&hub, "/a", name);
        let slow = Arc::clone(&slow);
        tasks.push(tokio::spawn(async move {
            let mut waits = 0;
            for number in 0..2000 {
                let said = text("x");
                if publisher.subscription.try_publish(&said, HISTORY).is_none() {
                    waits += 1;
                    let mut publish = Box::pin(publisher.subscription.publish(&said, HISTORY));
                    loop {
                        if let Some(_published) = (&mut publish).now_or_never() {
                            break;
                        }
                        all(&entry);
                        tokio::task::yield_now().await;
                        // The queue is full for a moment, once.
                        if number < 20 {
                            all(&slow);
                        }
                    }
                }
                all(&entry);
                if number >= 20 {
                    all(&slow);
                }
            }
            waits
        }));
    }
    for task in tasks {
        let waits = task.await.unwrap();
        // Each task fills the queue of the other, which has room again after 5 texts.
        assert!(waits < 500, "{waits} of 2000 texts waited for a turn");
    }
}
