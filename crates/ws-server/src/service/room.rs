//! The room service: sends each message to all members of the path.

use std::{
    convert::Infallible,
    fmt::Write as _,
    future::poll_fn,
    num::NonZeroUsize,
    pin::pin,
    sync::Arc,
    time::{Duration, SystemTime},
};

use futures::{
    FutureExt as _,
    future::{BoxFuture, Either, select},
};
use humantime::format_rfc3339_millis;
use proto::{
    close::CloseReason,
    config::{As, Count, Limit, Size, word},
    escape::Escaped,
};
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    task::yield_now,
    time::timeout,
};

use crate::{
    service::{
        bounded_text::{BoundedText, TooLong},
        hub::{Hub, Subscribed, Subscription},
        topic::{HistoryPolicy, Publisher},
    },
    session::{Ended, Event, Message, OutboxPolicy, OverflowPolicy, Session, Text},
};

/// The number of deliveries of one member before other tasks run: a fraction of a millisecond.
const MAX_DELIVERIES_PER_TURN: usize = 2048;

/// The longest wait of a text whose publisher has no session, or whose peer has left.
const PUBLISH_TIMEOUT: Duration = Duration::from_secs(1);

/// The bytes beside the text in the written form of a message: name, time and punctuation.
const ENVELOPE_BYTES: usize = 512;

/// The room service, with the keys of its routes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Room {
    /// The format of messages.
    #[serde(deserialize_with = "word")]
    pub format: RoomFormat,
    /// `true` announces members that join and leave.
    pub presence: bool,
    /// The number of earlier messages that a new member gets.
    #[serde(with = "As::<Limit<Count>>")]
    pub history: Option<NonZeroUsize>,
    /// The length of these messages together.
    #[serde(with = "As::<Size>")]
    pub history_bytes: NonZeroUsize,
    /// The number of waiting messages at which the queue of a member is full.
    #[serde(with = "As::<Count>")]
    pub max_queued: NonZeroUsize,
    /// The length of these messages together.
    #[serde(with = "As::<Size>")]
    pub max_queued_bytes: NonZeroUsize,
    /// The consequence for a member whose queue is full, and that makes no progress.
    #[serde(deserialize_with = "word")]
    pub when_full: OverflowPolicy,
}

impl Default for Room {
    fn default() -> Self {
        Self {
            format: RoomFormat::default(),
            presence: false,
            history: NonZeroUsize::new(20),
            history_bytes: const { NonZeroUsize::new(16 * 1024).unwrap() },
            max_queued: const { NonZeroUsize::new(256).unwrap() },
            max_queued_bytes: const { NonZeroUsize::new(1024 * 1024).unwrap() },
            when_full: OverflowPolicy::default(),
        }
    }
}

/// The format of a room's messages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RoomFormat {
    /// A JSON object with the sender's name and the time.
    #[default]
    Json,
    /// A line that begins with the sender's name.
    Plain,
}

/// The reason why a text was not published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotPublished {
    /// Members read too slowly.
    Busy,
    /// The publisher lost its right while the text waited.
    Revoked,
    /// The text is too long as it is written for the members.
    TooLong,
}

/// An event that a room sends to its members.
#[derive(Debug, Clone, Copy)]
enum RoomEvent<'a> {
    Message { from: &'a str, text: &'a str },
    Joined(&'a str),
    Left(&'a str),
    Lost(u64),
}

/// An event as a JSON object, with its keys in this order.
#[derive(Serialize)]
#[serde(rename_all = "lowercase", untagged)]
enum RoomEventJson<'a> {
    Message {
        from: &'a str,
        text: &'a str,
        at: String,
    },
    Joined {
        joined: &'a str,
        at: String,
    },
    Left {
        left: &'a str,
        at: String,
    },
    Lost {
        lost: u64,
    },
}

impl Room {
    /// Runs the room for one session until it ends.
    ///
    /// # Errors
    ///
    /// The reason for the end of the session. There is no other result.
    pub async fn run<S>(
        &self,
        session: &mut Session<S>,
        hub: &Arc<Hub>,
    ) -> Result<Infallible, Ended>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let (membership, kept) = Membership::join(self, session, hub);
        for text in kept {
            session.send_shared(text).await?;
        }
        let max_bytes = session.max_message_bytes();
        let mut deliveries = 0;
        // A text that waits for room in the members' queues, and the message after it. Meanwhile the
        // session sends what others publish, and answers pings up to that message.
        let mut publishing: Option<BoxFuture<'_, Option<usize>>> = None;
        let mut held: Option<Message> = None;
        loop {
            if deliveries > MAX_DELIVERIES_PER_TURN {
                deliveries = 0;
                yield_now().await;
            }
            let event = if let Some(publish) = &mut publishing {
                let next = async {
                    match held {
                        None => session.next().await,
                        Some(_) => session.next_pushed().await,
                    }
                };
                match select(publish, pin!(next)).await {
                    Either::Left((delivered, _)) => {
                        publishing = None;
                        deliveries += delivered.unwrap_or(0);
                        continue;
                    }
                    Either::Right((event, _)) => event,
                }
            } else if let Some(message) = held.take() {
                Ok(Event::Message(message))
            } else {
                session.next().await
            };
            match event {
                Ok(Event::Message(message)) if publishing.is_some() => held = Some(message),
                Ok(Event::Message(Message::Text(text))) => {
                    let message = membership.write(&text, max_bytes)?;
                    match membership.try_publish(&message) {
                        Some(delivered) => deliveries += delivered,
                        None => publishing = Some(membership.publish(message).boxed()),
                    }
                }
                Ok(Event::Message(Message::Binary(_))) => {
                    return Err(Ended::ByUs(CloseReason::TextOnly));
                }
                Ok(Event::Pushed(text)) => {
                    while_publishing(&mut publishing, session.send_shared(text)).await?;
                }
                Ok(Event::Lost(texts)) => {
                    let lost = self.write(RoomEvent::Lost(texts));
                    while_publishing(&mut publishing, session.send(lost)).await?;
                }
                Err(ended @ (Ended::ByPeer { .. } | Ended::Lost)) => {
                    // The peer's last texts are still published, unless the session must end.
                    membership.subscription.stop_receiving();
                    let rest = async {
                        if let Some(publish) = publishing {
                            publish.await;
                        }
                        if let Some(Message::Text(text)) = held
                            && let Ok(message) = membership.write(&text, max_bytes)
                        {
                            membership.publish(message).await;
                        }
                    };
                    let rest = pin!(timeout(PUBLISH_TIMEOUT, rest));
                    let _ = select(rest, pin!(session.dropped())).await;
                    return Err(ended);
                }
                Err(ended) => return Err(ended),
            }
        }
    }

    /// Returns the bounds of the history.
    pub(crate) fn history(&self) -> HistoryPolicy {
        HistoryPolicy {
            texts: self.history.map_or(0, NonZeroUsize::get),
            bytes: self.history_bytes.get(),
        }
    }

    /// Returns the bounds of a member's queue.
    fn outbox(&self) -> OutboxPolicy {
        OutboxPolicy {
            max_texts: self.max_queued,
            max_bytes: self.max_queued_bytes,
            overflow: self.when_full,
        }
    }

    /// Publishes a text in a room without being a member, if its written form has at most
    /// `max_bytes`. Waits for members that read slowly, but at most [`PUBLISH_TIMEOUT`].
    ///
    /// # Errors
    ///
    /// The reason why the text was not published.
    pub(crate) async fn publish(
        &self,
        hub: &Hub,
        path: &Arc<str>,
        from: &str,
        text: &str,
        max_bytes: usize,
        publisher: impl Publisher + 'static,
    ) -> Result<(), NotPublished> {
        let event = RoomEvent::Message { from, text };
        let written = self.write_within(event, max_bytes);
        let message = hub.count(written.map_err(|_| NotPublished::TooLong)?);
        let publish = hub.publish(path, from, &message, self.history(), publisher);
        match timeout(PUBLISH_TIMEOUT, publish).await {
            Ok(Some(_)) => Ok(()),
            Ok(None) => Err(NotPublished::Revoked),
            Err(_) => Err(NotPublished::Busy),
        }
    }

    /// Returns the announcement of an event, if presence is on.
    fn announce(&self, event: RoomEvent<'_>) -> Option<Text> {
        self.presence.then(|| self.write(event))
    }

    /// Formats an event that has no text of a peer.
    fn write(&self, event: RoomEvent<'_>) -> Text {
        let written = self.write_within(event, usize::MAX);
        written.unwrap_or_else(|_| String::new().into())
    }

    /// Formats an event once, for all members. The text in it may have `max_bytes` in its written form:
    /// escaped, it may be six times as long.
    fn write_within(&self, event: RoomEvent<'_>, max_bytes: usize) -> Result<Text, TooLong> {
        let mut written = BoundedText::new(max_bytes.saturating_add(ENVELOPE_BYTES));
        let at = || format_rfc3339_millis(SystemTime::now()).to_string();
        match self.format {
            RoomFormat::Json => {
                let object = match event {
                    RoomEvent::Message { from, text } => RoomEventJson::Message {
                        from,
                        text,
                        at: at(),
                    },
                    RoomEvent::Joined(joined) => RoomEventJson::Joined { joined, at: at() },
                    RoomEvent::Left(left) => RoomEventJson::Left { left, at: at() },
                    RoomEvent::Lost(lost) => RoomEventJson::Lost { lost },
                };
                serde_json::to_writer(&mut written, &object).map_err(|_| TooLong)?;
            }
            RoomFormat::Plain => match event {
                // A line break in a text could imitate a message of another member.
                RoomEvent::Message { from, text } => write!(written, "{from}: {}", Escaped(text)),
                RoomEvent::Joined(name) => write!(written, "* {name} joined"),
                RoomEvent::Left(name) => write!(written, "* {name} left"),
                RoomEvent::Lost(1) => write!(written, "* 1 message was lost"),
                RoomEvent::Lost(texts) => write!(written, "* {texts} messages were lost"),
            }
            .map_err(|_| TooLong)?,
        }
        written.finish()
    }
}

/// Awaits `work`, and polls the publication meanwhile: it may wait for the queues on behalf of all
/// publishers, so it must not wait for this member's own socket.
async fn while_publishing<T>(
    publishing: &mut Option<BoxFuture<'_, Option<usize>>>,
    work: impl Future<Output = T>,
) -> T {
    let mut work = pin!(work);
    poll_fn(|cx| {
        if let Some(publish) = publishing
            && publish.as_mut().poll(cx).is_ready()
        {
            *publishing = None;
        }
        work.as_mut().poll(cx)
    })
    .await
}

/// The membership of a session in a room. Drop leaves the room.
#[derive(Debug)]
struct Membership<'a> {
    room: &'a Room,
    name: Arc<str>,
    subscription: Subscription,
}

impl<'a> Membership<'a> {
    /// Joins the room. Also returns its history, oldest first.
    fn join<S>(room: &'a Room, session: &Session<S>, hub: &Arc<Hub>) -> (Self, Vec<Text>)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let name: Arc<str> = session.principal().to_string().into();
        let outbox = session.outbox(room.outbox());
        let greeting = || room.announce(RoomEvent::Joined(&name));
        let Subscribed { subscription, kept } = hub.subscribe(
            session.path(),
            Arc::clone(&name),
            outbox,
            room.history(),
            greeting,
        );
        let membership = Self {
            room,
            name,
            subscription,
        };
        (membership, kept)
    }

    /// Formats a text of this member.
    ///
    /// # Errors
    ///
    /// The written text is too long.
    fn write(&self, text: &str, max_bytes: usize) -> Result<Text, Ended> {
        let from = &self.name;
        let event = RoomEvent::Message { from, text };
        match self.room.write_within(event, max_bytes) {
            Ok(written) => Ok(self.subscription.count(written)),
            Err(TooLong) => Err(Ended::ByUs(CloseReason::MessageTooBig)),
        }
    }

    fn try_publish(&self, message: &Text) -> Option<usize> {
        self.subscription.try_publish(message, self.room.history())
    }

    async fn publish(&self, message: Text) -> Option<usize> {
        self.subscription
            .publish(&message, self.room.history())
            .await
    }
}

impl Drop for Membership<'_> {
    fn drop(&mut self) {
        let (room, name) = (self.room, &self.name);
        self.subscription
            .end(|| room.announce(RoomEvent::Left(name)));
    }
}

#[cfg(test)]
#[path = "tests/room.rs"]
mod tests;

#[cfg(test)]
#[path = "tests/room_load.rs"]
mod load_tests;
