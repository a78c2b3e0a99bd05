//! The room service: sends each message to all members of the path.

use std::{convert::Infallible, num::NonZeroUsize, sync::Arc, time::SystemTime};

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
};

use crate::{
    service::hub::{HistoryPolicy, Hub, Subscribed, Subscription},
    session::{Ended, Event, Message, OutboxPolicy, OverflowPolicy, Session, Text},
};

/// The number of deliveries of one member before other tasks run: a fraction of a millisecond.
const MAX_DELIVERIES_PER_TURN: usize = 2048;

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
    /// The number of messages that may wait for a slow member.
    #[serde(with = "As::<Count>")]
    pub max_queued: NonZeroUsize,
    /// The length of these messages together.
    #[serde(with = "As::<Size>")]
    pub max_queued_bytes: NonZeroUsize,
    /// The consequence for a member whose queue is full.
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
            session.send(text).await?;
        }
        let mut budget = YieldBudget::default();
        loop {
            match session.next().await? {
                Event::Message(Message::Text(text)) => {
                    budget.add(membership.publish(&text));
                    if budget.is_over(self) {
                        budget = YieldBudget::default();
                        yield_now().await;
                    }
                }
                Event::Message(Message::Binary(_)) => {
                    return Err(Ended::ByUs(CloseReason::TextOnly));
                }
                Event::Pushed(text) => session.send(text).await?,
                Event::Lost(texts) => session.send(self.write(RoomEvent::Lost(texts))).await?,
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

    /// Publishes a text in a room without being a member.
    pub(crate) fn publish(&self, hub: &Hub, path: &Arc<str>, from: &str, text: &str) {
        let message = self.write(RoomEvent::Message { from, text });
        hub.publish(path, from, &message, self.history());
    }

    /// Returns the announcement of an event, if presence is on.
    fn announce(&self, event: RoomEvent<'_>) -> Option<Text> {
        self.presence.then(|| self.write(event))
    }

    /// Formats an event once, for all members.
    fn write(&self, event: RoomEvent<'_>) -> Text {
        let at = || format_rfc3339_millis(SystemTime::now()).to_string();
        let written = match self.format {
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
                serde_json::to_string(&object).expect("texts and numbers are JSON")
            }
            RoomFormat::Plain => match event {
                // A line break in a text could imitate a message of another member.
                RoomEvent::Message { from, text } => format!("{from}: {}", Escaped(text)),
                RoomEvent::Joined(name) => format!("* {name} joined"),
                RoomEvent::Left(name) => format!("* {name} left"),
                RoomEvent::Lost(1) => "* 1 message was lost".to_owned(),
                RoomEvent::Lost(texts) => format!("* {texts} messages were lost"),
            },
        };
        written.into()
    }
}

/// The work that a member has caused since its task last yielded.
#[derive(Debug, Default, Clone, Copy)]
struct YieldBudget {
    texts: usize,
    bytes: usize,
    /// The number of deliveries: each text counts once for each subscriber.
    deliveries: usize,
}

impl YieldBudget {
    fn add(&mut self, more: YieldBudget) {
        self.texts += more.texts;
        self.bytes += more.bytes;
        self.deliveries += more.deliveries;
    }

    /// Returns true if the task should yield. Otherwise messages that arrive together would fill the
    /// queues of members that had no chance to read, and evict them as slow readers.
    fn is_over(&self, room: &Room) -> bool {
        self.texts > room.max_queued.get() / 4
            || self.bytes > room.max_queued_bytes.get() / 4
            || self.deliveries > MAX_DELIVERIES_PER_TURN
    }
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

    /// Publishes a text, and returns the work that it caused.
    fn publish(&self, text: &str) -> YieldBudget {
        let from = &self.name;
        let message = self.room.write(RoomEvent::Message { from, text });
        YieldBudget {
            texts: 1,
            bytes: message.len(),
            deliveries: self.subscription.publish(&message, self.room.history()),
        }
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
