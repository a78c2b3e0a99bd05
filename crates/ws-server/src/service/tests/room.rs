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
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf, duplex};

use super::{Room, RoomFormat};
use crate::{
    access::{PathPattern, Principal},
    limits::Limits,
    registry::{ConnectionEntry, ConnectionRegistry},
    service::Hub,
    session::{Ended, Event, Outbox, OverflowPolicy, Session, Text, admit},
    websocket::WebSocket,
};

const PATH: &str = "/room/lobby";

fn room() -> Room {
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
fn session_on<S: AsyncRead + AsyncWrite + Unpin + Debug>(io: S) -> Session<S> {
    let connections = Arc::new(ConnectionRegistry::default());
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

fn text(text: &str) -> Text {
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
    let path = PATH.into();
    for number in ["1", "2", "3"] {
        hub.publish(&path, "jane", &text(number), room.history());
    }
    play(&room, &hub, 4096, async |peer| {
        assert_eq!(peer.text().await, "2");
        assert_eq!(peer.text().await, "3");
        hub.publish(&path, "jane", &text("4"), room.history());
        assert_eq!(peer.text().await, "4");
    })
    .await;
}

#[tokio::test]
async fn post_published_like_message() {
    let (room, hub) = (room(), Arc::new(Hub::default()));
    let (_joe, joe) = other(&hub, &room, "joe");
    room.publish(&hub, &PATH.into(), "bot", "deployed");
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

#[tokio::test]
async fn slow_member_evicted_without_delay_to_others() {
    let (room, hub) = (room(), Arc::new(Hub::default()));
    let (_stalled, stalled) = other(&hub, &room, "stalled");
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
        hub.publish(&PATH.into(), "jane", &text("12345"), room.history());
        hub.publish(&PATH.into(), "jane", &text("678"), room.history());
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
    {
        let mut run = Box::pin(room.run(&mut session, &hub));
        assert!(
            (&mut run).now_or_never().is_none(),
            "the room waits for messages"
        );
        for number in 0..6 {
            hub.publish(
                &PATH.into(),
                "jane",
                &text(&number.to_string()),
                room.history(),
            );
        }
        assert!((&mut run).now_or_never().is_none());
        let mut seen = Vec::new();
        for _ in 0..5 {
            seen.push(peer.text().await);
        }
        assert_eq!(seen, [r#"{"lost":2}"#, "2", "3", "4", "5"]);
    }
}
