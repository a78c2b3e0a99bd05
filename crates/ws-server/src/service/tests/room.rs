//! Rooms without sockets: one member on a duplex pipe, the others as outboxes.

use std::{
    fmt::Debug,
    io,
    num::NonZeroUsize,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::UNIX_EPOCH,
};

use bytes::Bytes;
use futures::FutureExt as _;
use humantime::parse_rfc3339;
use proto::{
    close::CloseReason, credentials::Accounts, message::Credentials, password::HashMemory,
};
use raw_peer::{RawPeer, frame};
use tokio::{
    io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf, duplex},
    task::{
        coop::{consume_budget, has_budget_remaining},
        yield_now,
    },
};

use super::{Room, RoomFormat};
use crate::{
    access::{PathPattern, Principal},
    limits::Limits,
    registry::{ConnectionEntry, ConnectionRegistry},
    service::{Hub, Unrestricted},
    session::{Ended, Event, Outbox, OverflowPolicy, Session, Text, admit},
    websocket::WebSocket,
};

pub(super) const PATH: &str = "/room/lobby";

pub(super) fn room() -> Room {
    Room {
        format: RoomFormat::Json,
        presence: false,
        history: NonZeroUsize::new(2),
        history_bytes: NonZeroUsize::new(1000).unwrap(),
        max_queued: NonZeroUsize::new(4).unwrap(),
        max_queued_bytes: NonZeroUsize::new(1000).unwrap(),
        when_full: OverflowPolicy::Evict,
    }
}

/// Returns a session of `jane` and its client.
fn session(pipe_bytes: usize) -> (Session<DuplexStream>, RawPeer<DuplexStream>) {
    let (ours, theirs) = duplex(pipe_bytes);
    (session_on(theirs), RawPeer::new(ours))
}

/// Returns a session of `jane` on this stream.
pub(super) fn session_on<S: AsyncRead + AsyncWrite + Unpin + Debug>(io: S) -> Session<S> {
    registered(io, &Arc::new(ConnectionRegistry::default()))
}

/// A session of `jane` on this stream, in this registry.
pub(super) fn registered<S: AsyncRead + AsyncWrite + Unpin + Debug>(
    io: S,
    connections: &Arc<ConnectionRegistry>,
) -> Session<S> {
    let registration =
        connections.register(connections.next_id(), ConnectionEntry::default().peer());
    let limits = Arc::new(Limits::default());
    let socket = WebSocket::new(io, Bytes::new(), limits, 1 << 20, registration);
    let accounts = Accounts::from_toml("[[user]]\nname = \"jane\"\npassword = \"x\"").unwrap();
    let jane = Credentials::parse("jane:x").unwrap();
    let identity = accounts
        .verify(&jane, UNIX_EPOCH, &mut HashMemory::default())
        .unwrap();
    let pattern = Arc::new(PathPattern::parse(PATH).unwrap());
    let principal = Principal::User(identity);
    let jane = admit(socket, principal, pattern, PATH.into(), |_| Ok(()));
    Session::new(jane.unwrap())
}

/// Adds another member, which never reads.
fn other(
    hub: &Arc<Hub>,
    room: &Room,
    name: &str,
) -> (crate::service::hub::Subscription, Arc<ConnectionEntry>) {
    let entry = Arc::new(ConnectionEntry::default());
    let outbox = Outbox::new(Arc::clone(&entry), room.outbox());
    let subscribed = hub.subscribe(&PATH.into(), name.into(), outbox, room.history(), || None);
    (subscribed.subscription, entry)
}

fn received(entry: &ConnectionEntry) -> Vec<String> {
    std::iter::from_fn(|| entry.pushed()).collect()
}

/// Returns a JSON message without its time, after checking the time.
fn without_time(text: &str) -> String {
    let (before, at) = text.rsplit_once(",\"at\":\"").unwrap();
    let at = at.strip_suffix("\"}").unwrap();
    assert!(parse_rfc3339(at).is_ok() && at.len() == 24, "{at}");
    format!("{before}}}")
}

/// Publishes a text without a session.
async fn publish(hub: &Hub, room: &Room, message: &str) {
    let path = PATH.into();
    hub.publish(&path, "jane", &text(message), room.history(), Unrestricted)
        .await;
}

pub(super) fn text(text: &str) -> Text {
    Text::from(text.to_owned())
}

/// Runs a room for one session until the script ends.
async fn play(
    room: &Room,
    hub: &Arc<Hub>,
    pipe_bytes: usize,
    script: impl AsyncFnOnce(&mut RawPeer<DuplexStream>),
) -> Ended {
    let (mut session, mut peer) = session(pipe_bytes);
    let script = async {
        script(&mut peer).await;
        drop(peer);
    };
    let (ended, ()) = tokio::join!(room.run(&mut session, hub), script);
    ended.unwrap_err()
}

#[tokio::test]
async fn json_message_has_sender_and_time() {
    let (room, hub) = (room(), Arc::new(Hub::default()));
    let (_joe, joe) = other(&hub, &room, "joe");
    play(&room, &hub, 4096, async |peer| {
        peer.send(frame::text("hello \"you\"")).await;
        let own = peer.text().await;
        assert_eq!(
            without_time(&own),
            r#"{"from":"jane","text":"hello \"you\""}"#
        );
        assert_eq!(received(&joe), [own]);
    })
    .await;
}

#[tokio::test]
async fn plain_message_escapes_line_breaks() {
    let room = Room {
        format: RoomFormat::Plain,
        presence: true,
        ..room()
    };
    let hub = Arc::new(Hub::default());
    let (_joe, joe) = other(&hub, &room, "joe");
    play(&room, &hub, 4096, async |peer| {
        assert_eq!(peer.text().await, "* jane joined");
        peer.send(frame::text("hello\njoe: I am a fool")).await;
        assert_eq!(peer.text().await, "jane: hello\\njoe: I am a fool");
    })
    .await;
    assert_eq!(
        received(&joe),
        [
            "* jane joined",
            "jane: hello\\njoe: I am a fool",
            "* jane left"
        ]
    );
}

#[tokio::test]
async fn presence_announced_once_per_user() {
    let room = Room {
        presence: true,
        ..room()
    };
    let hub = Arc::new(Hub::default());
    let (_joe, joe) = other(&hub, &room, "joe");
    let (jane, _live) = other(&hub, &room, "jane");
    play(&room, &hub, 4096, async |_| {}).await;
    assert_eq!(received(&joe), [""; 0]);
    drop(jane);
    play(&room, &hub, 4096, async |peer| {
        assert_eq!(without_time(&peer.text().await), r#"{"joined":"jane"}"#);
    })
    .await;
    let messages: Vec<_> = received(&joe)
        .iter()
        .map(|text| without_time(text))
        .collect();
    assert_eq!(messages, [r#"{"joined":"jane"}"#, r#"{"left":"jane"}"#]);
    // Announcements are not part of the history.
    let (_late, late) = other(&hub, &room, "late");
    assert_eq!(received(&late), [""; 0]);
}

#[tokio::test]
async fn new_member_gets_history_first() {
    let (room, hub) = (room(), Arc::new(Hub::default()));
    for number in ["1", "2", "3"] {
        publish(&hub, &room, number).await;
    }
    play(&room, &hub, 4096, async |peer| {
        assert_eq!(peer.text().await, "2");
        assert_eq!(peer.text().await, "3");
        publish(&hub, &room, "4").await;
        assert_eq!(peer.text().await, "4");
    })
    .await;
}

#[tokio::test]
async fn post_published_like_message() {
    let (room, hub) = (room(), Arc::new(Hub::default()));
    let (_joe, joe) = other(&hub, &room, "joe");
    let path = PATH.into();
    let published = room.publish(&hub, &path, "bot", "deployed", 100, Unrestricted);
    assert_eq!(published.await, Ok(()));
    let messages: Vec<_> = received(&joe)
        .iter()
        .map(|text| without_time(text))
        .collect();
    assert_eq!(messages, [r#"{"from":"bot","text":"deployed"}"#]);
}

#[tokio::test]
async fn binary_message_refused() {
    let (room, hub) = (room(), Arc::new(Hub::default()));
    let ended = play(&room, &hub, 4096, async |peer| {
        peer.send(frame::binary(b"x")).await;
    })
    .await;
    assert_eq!(ended, Ended::ByUs(CloseReason::TextOnly));
}

#[tokio::test(start_paused = true)]
async fn member_that_does_not_read_is_evicted() {
    let (room, hub) = (room(), Arc::new(Hub::default()));
    let (_stalled, stalled) = other(&hub, &room, "stalled");
    stalled.progress().on_blocked(0);
    play(&room, &hub, 4096, async |peer| {
        for number in 0..5 {
            assert_eq!(stalled.ended(), None);
            peer.send(frame::text(&number.to_string())).await;
            let expected = format!(r#"{{"from":"jane","text":"{number}"}}"#);
            assert_eq!(without_time(&peer.text().await), expected);
        }
    })
    .await;
    assert_eq!(stalled.ended(), Some(CloseReason::SlowReader));
    assert_eq!(received(&stalled).len(), 4);
}

/// A stream whose flush pushes a text into the session.
#[derive(Debug)]
struct PushOnFlush {
    io: DuplexStream,
    push: Arc<Mutex<Option<Outbox>>>,
}

impl AsyncRead for PushOnFlush {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl AsyncWrite for PushOnFlush {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(outbox) = self.push.lock().unwrap().take() {
            outbox.push(text("just in time"));
        }
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

/// The push arrives before the session has registered its waker.
#[tokio::test]
async fn push_during_flush_not_missed() {
    let (_peer, io) = duplex(4096);
    let push = Arc::default();
    let mut session = session_on(PushOnFlush {
        io,
        push: Arc::clone(&push),
    });
    *push.lock().unwrap() = Some(session.outbox(room().outbox()));
    let event = session.next().now_or_never();
    assert_eq!(event, Some(Ok(Event::Pushed(text("just in time")))));
    assert!(push.lock().unwrap().is_none());
}

#[tokio::test]
async fn pushed_texts_counted_as_sent() {
    let (room, hub) = (room(), Arc::new(Hub::default()));
    let (mut session, mut peer) = session(4096);
    {
        let mut run = Box::pin(room.run(&mut session, &hub));
        assert!((&mut run).now_or_never().is_none());
        publish(&hub, &room, "12345").await;
        publish(&hub, &room, "678").await;
        assert!((&mut run).now_or_never().is_none());
    }
    assert_eq!(peer.text().await, "12345");
    let counts = session.counts();
    assert_eq!((counts.messages_in, counts.bytes_in), (0, 0));
    assert_eq!((counts.messages_out, counts.bytes_out), (2, 8));
}

/// Messages that arrive together are published together, up to a part of the members' queues.
#[tokio::test]
async fn burst_of_messages_evicts_no_reader() {
    let mut room = room();
    for (max_texts, max_bytes, texts) in [(4, 1000, 100), (1000, 400, 40)] {
        room.max_queued = NonZeroUsize::new(max_texts).unwrap();
        room.max_queued_bytes = NonZeroUsize::new(max_bytes).unwrap();
        let hub = Arc::new(Hub::default());
        let (mut sending, mut sender) = session(1 << 16);
        let (mut receiving, mut receiver) = session(1 << 16);
        let script = async {
            sender.send(frame::text("hello").repeat(texts)).await;
            for _ in 0..texts {
                receiver.text().await;
            }
            drop((sender, receiver));
        };
        tokio::join!(
            room.run(&mut sending, &hub).map(drop),
            room.run(&mut receiving, &hub).map(drop),
            script
        );
    }
}

#[tokio::test]
async fn sender_to_many_members_yields() {
    let (mut room, hub) = (room(), Arc::new(Hub::default()));
    room.max_queued = NonZeroUsize::new(100_000).unwrap();
    room.max_queued_bytes = NonZeroUsize::new(100_000_000).unwrap();
    let crowd: Vec<_> = (0..1000).map(|_| other(&hub, &room, "joe")).collect();
    let (mut session, mut peer) = session(1 << 16);
    peer.send(frame::text("hello").repeat(100)).await;
    let mut run = Box::pin(room.run(&mut session, &hub));
    assert!((&mut run).now_or_never().is_none());
    let (_joe, joe) = &crowd[0];
    assert_eq!(received(joe).len(), 3);
}

#[tokio::test]
async fn drop_oldest_reports_lost_count() {
    let mut room = room();
    room.when_full = OverflowPolicy::DropOldest;
    let hub = Arc::new(Hub::default());
    let (mut session, mut peer) = session(4096);
    let outbox = session.outbox(room.outbox());
    let mut run = Box::pin(room.run(&mut session, &hub));
    assert!((&mut run).now_or_never().is_none());
    for number in 0..6 {
        outbox.push(text(&number.to_string()));
    }
    assert!((&mut run).now_or_never().is_none());
    let mut seen = Vec::new();
    for _ in 0..5 {
        seen.push(peer.text().await);
    }
    assert_eq!(seen, [r#"{"lost":2}"#, "2", "3", "4", "5"]);
}

/// Waits until the room has this many members.
pub(super) async fn joined(hub: &Hub, members: usize) {
    while hub.stats().subscriptions != members {
        yield_now().await;
    }
}

/// A peer that sends and then closes must not lose a text that waits for a slow member.
#[tokio::test(start_paused = true)]
async fn text_before_close_published() {
    let (room, hub) = (room(), Arc::new(Hub::default()));
    let (_slow, slow) = other(&hub, &room, "slow");
    let ended = play(&room, &hub, 4096, async |peer| {
        for said in ["1", "2", "3", "4", "5", "6"] {
            peer.send(frame::text(said)).await;
        }
        peer.send(frame::close(1000, "")).await;
        // The fifth waits, the sixth is held behind it, and the Close frame is read.
        for _ in 0..100 {
            yield_now().await;
        }
        assert_eq!(received(&slow).len(), 4);
        joined(&hub, 1).await;
    })
    .await;
    assert!(matches!(ended, Ended::ByPeer { .. }), "{ended:?}");
    let said: Vec<_> = received(&slow)
        .iter()
        .map(|text| without_time(text))
        .collect();
    let expected = ["5", "6"].map(|said| format!(r#"{{"from":"jane","text":"{said}"}}"#));
    assert_eq!(said, expected);
}

#[tokio::test(start_paused = true)]
async fn waiting_publisher_obeys_end_of_session() {
    let (room, hub) = (room(), Arc::new(Hub::default()));
    let (_slow, slow) = other(&hub, &room, "slow");
    let connections = Arc::new(ConnectionRegistry::default());
    let (io, theirs) = duplex(4096);
    let (mut session, mut peer) = (registered(theirs, &connections), RawPeer::new(io));
    let outbox = session.outbox(room.outbox());
    let mut run = Box::pin(room.run(&mut session, &hub));
    for said in ["1", "2", "3", "4", "5", "6"] {
        peer.send(frame::text(said)).await;
    }
    assert!((&mut run).now_or_never().is_none());
    outbox.push(text("pushed"));
    assert!((&mut run).now_or_never().is_none());
    for _ in 0..4 {
        peer.text().await;
    }
    assert_eq!(peer.text().await, "pushed");
    connections.end_all(CloseReason::ShuttingDown { back_in: 2 });
    let ended = (&mut run).now_or_never().unwrap();
    assert_eq!(
        ended.unwrap_err(),
        Ended::ByUs(CloseReason::ShuttingDown { back_in: 2 })
    );
    drop(run);
    assert_eq!(received(&slow).len(), 4);
    assert_eq!(hub.stats().subscriptions, 1);
}

#[tokio::test(start_paused = true)]
async fn waiting_publisher_answers_pings() {
    let (room, hub) = (room(), Arc::new(Hub::default()));
    let (_slow, _entry) = other(&hub, &room, "slow");
    let (mut session, mut peer) = session(4096);
    let mut run = Box::pin(room.run(&mut session, &hub));
    for said in ["1", "2", "3", "4", "5"] {
        peer.send(frame::text(said)).await;
    }
    assert!((&mut run).now_or_never().is_none());
    peer.send(frame::ping(b"alive?")).await;
    assert!((&mut run).now_or_never().is_none());
    for _ in 0..4 {
        peer.text().await;
    }
    let pong = peer.frame().await;
    assert_eq!((pong.first, &pong.payload[..]), (0x8a, &b"alive?"[..]));
}

#[tokio::test(start_paused = true)]
async fn waiting_text_of_revoked_member_dropped() {
    for closes in [false, true] {
        let (room, hub) = (room(), Arc::new(Hub::default()));
        let (_slow, slow) = other(&hub, &room, "slow");
        let connections = Arc::new(ConnectionRegistry::default());
        let (io, theirs) = duplex(4096);
        let (mut session, mut peer) = (registered(theirs, &connections), RawPeer::new(io));
        let mut run = Box::pin(room.run(&mut session, &hub));
        for said in ["1", "2", "3", "4", "5"] {
            peer.send(frame::text(said)).await;
        }
        if closes {
            peer.send(frame::close(1000, "")).await;
        }
        assert!((&mut run).now_or_never().is_none());
        connections.end_all(CloseReason::UserRemoved);
        assert_eq!(received(&slow).len(), 4);
        // Its task has a turn only after the queue got room.
        let _ = (&mut run).now_or_never();
        assert_eq!(received(&slow), [""; 0], "closes: {closes}");
    }
}

/// Runs a future for this long.
async fn run_for<F: Future + Unpin>(run: &mut F, seconds: u64) -> Option<F::Output> {
    let time = std::time::Duration::from_secs(seconds);
    tokio::time::timeout(time, run).await.ok()
}

/// While reading is paused, the peer's messages are not read.
#[tokio::test(start_paused = true)]
async fn paused_reading_is_not_silence() {
    let (room, hub) = (room(), Arc::new(Hub::default()));
    let (_slow, slow) = other(&hub, &room, "slow");
    let (mut session, mut peer) = session(1 << 20);
    let mut run = Box::pin(room.run(&mut session, &hub));
    for said in ["1", "2", "3", "4", "5", "6"] {
        peer.send(frame::text(said)).await;
    }
    assert_eq!(run_for(&mut run, 1000).await, None);
    assert_eq!(received(&slow).len(), 4);
    assert_eq!(run_for(&mut run, 1).await, None);
    assert_eq!(received(&slow).len(), 2);
}

/// Messages behind the held one are in buffers that must not be released.
#[tokio::test(start_paused = true)]
async fn paused_reading_keeps_received_messages() {
    let (mut room, hub) = (room(), Arc::new(Hub::default()));
    room.max_queued_bytes = NonZeroUsize::new(1 << 20).unwrap();
    let (_slow, slow) = other(&hub, &room, "slow");
    let (mut session, mut peer) = session(1 << 20);
    let mut run = Box::pin(room.run(&mut session, &hub));
    let long = "x".repeat(5000);
    peer.send(frame::text(&long)).await;
    let mut rest = Vec::new();
    for number in 2..=12 {
        rest.extend(frame::text(&number.to_string()));
    }
    peer.send(rest).await;
    let mut seen = Vec::new();
    for _ in 0..4 {
        assert_eq!(run_for(&mut run, 10).await, None);
        seen.extend(received(&slow));
    }
    assert_eq!(seen.len(), 12);
}

/// A text with room must not wait for the socket of its own publisher.
#[tokio::test(start_paused = true)]
async fn blocked_publisher_publishes() {
    let (mut room, hub) = (room(), Arc::new(Hub::default()));
    room.max_queued_bytes = NonZeroUsize::new(1 << 20).unwrap();
    let (_slow, slow) = other(&hub, &room, "slow");
    let (mut session, mut peer) = session(4096);
    let outbox = session.outbox(room.outbox());
    let mut run = Box::pin(room.run(&mut session, &hub));
    for said in ["1", "2", "3", "4", "5"] {
        peer.send(frame::text(said)).await;
    }
    assert!((&mut run).now_or_never().is_none());
    for _ in 0..2 {
        outbox.push(text(&"x".repeat(100_000)));
    }
    assert!((&mut run).now_or_never().is_none());
    assert_eq!(received(&slow).len(), 4);
    assert!((&mut run).now_or_never().is_none());
    assert_eq!(received(&slow).len(), 1);
}

/// After the peer has read all, its socket is no longer blocked.
#[tokio::test(start_paused = true)]
async fn progress_recorded_while_blocked() {
    let (room, hub) = (room(), Arc::new(Hub::default()));
    let connections = Arc::new(ConnectionRegistry::default());
    let (mut io, theirs) = duplex(4096);
    let mut session = registered(theirs, &connections);
    let outbox = session.outbox(room.outbox());
    let entry = connections.sessions().remove(0).1;
    let mut run = Box::pin(room.run(&mut session, &hub));
    outbox.push(text(&"x".repeat(100_000)));
    let mut before = 0;
    let mut buffer = vec![0; 4096];
    for _ in 0..20 {
        assert!((&mut run).now_or_never().is_none());
        let progress = entry.progress().load();
        assert!(progress.blocked_since.is_some());
        let written = progress.written;
        assert!(written > before, "{written} after {before}");
        before = written;
        tokio::io::AsyncReadExt::read(&mut io, &mut buffer)
            .await
            .unwrap();
    }
    for _ in 0..20 {
        let _ = tokio::io::AsyncReadExt::read(&mut io, &mut buffer).now_or_never();
        assert!((&mut run).now_or_never().is_none());
    }
    assert!(entry.progress().load().blocked_since.is_none());
}

/// A member that has left takes nothing out of its queue, so its own text must not wait for it.
#[tokio::test(start_paused = true)]
async fn leaving_member_is_not_awaited() {
    let (room, hub) = (room(), Arc::new(Hub::default()));
    let (_slow, slow) = other(&hub, &room, "slow");
    let (mut session, mut peer) = session(4096);
    let outbox = session.outbox(room.outbox());
    let mut run = Box::pin(room.run(&mut session, &hub));
    for message in ["1", "2", "3", "4", "5"] {
        peer.send(frame::text(message)).await;
    }
    assert!((&mut run).now_or_never().is_none());
    peer.send(frame::close(1000, "")).await;
    assert!((&mut run).now_or_never().is_none());
    for number in 0..4 {
        outbox.push(text(&number.to_string()));
    }
    assert_eq!(received(&slow).len(), 4);
    let ended = (&mut run).now_or_never().unwrap().unwrap_err();
    assert!(matches!(ended, Ended::ByPeer { .. }), "{ended:?}");
    assert_eq!(received(&slow).len(), 1);
}

/// Tokio's cooperative budget makes a write pending although the socket accepts more.
#[tokio::test(start_paused = true)]
async fn write_without_budget_is_not_blocked() {
    let (room, hub) = (room(), Arc::new(Hub::default()));
    let connections = Arc::new(ConnectionRegistry::default());
    let (io, theirs) = duplex(4096);
    let (mut session, mut peer) = (registered(theirs, &connections), RawPeer::new(io));
    let outbox = session.outbox(room.outbox());
    let entry = connections.sessions().remove(0).1;
    let mut run = Box::pin(room.run(&mut session, &hub));
    assert!((&mut run).now_or_never().is_none());
    outbox.push(text("hello"));
    while has_budget_remaining() {
        consume_budget().await;
    }
    assert!((&mut run).now_or_never().is_none());
    assert!(peer.text().now_or_never().is_none());
    assert!(entry.progress().load().blocked_since.is_none());
    yield_now().await;
    assert!((&mut run).now_or_never().is_none());
    assert_eq!(peer.text().await, "hello");
}

/// The message behind a waiting text is not published either.
#[tokio::test(start_paused = true)]
async fn held_text_of_ended_session_dropped() {
    let (room, hub) = (room(), Arc::new(Hub::default()));
    let (_slow, slow) = other(&hub, &room, "slow");
    let connections = Arc::new(ConnectionRegistry::default());
    let (io, theirs) = duplex(4096);
    let (mut session, mut peer) = (registered(theirs, &connections), RawPeer::new(io));
    let outbox = session.outbox(room.outbox());
    let mut run = Box::pin(room.run(&mut session, &hub));
    for message in ["1", "2", "3", "4", "5", "6"] {
        peer.send(frame::text(message)).await;
    }
    assert!((&mut run).now_or_never().is_none());
    outbox.push(text("pushed"));
    connections.end_all(CloseReason::Kicked);
    assert_eq!(received(&slow).len(), 4);
    let ended = (&mut run).now_or_never().unwrap().unwrap_err();
    assert_eq!(ended, Ended::ByUs(CloseReason::Kicked));
    drop(run);
    assert_eq!(received(&slow), [""; 0]);
}
