//! The room service: sends each message to all members of the path.

use std::{convert::Infallible, sync::Arc, time::SystemTime};

use humantime::format_rfc3339_millis;
use proto::{close::CloseReason, escape::Escaped};
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    task::yield_now,
};

use crate::{
    service::hub::{HistoryPolicy, Hub, Subscribed, Subscription},
    session::{Ended, Event, Message, OutboxPolicy, Session, Text},
};

/// The number of deliveries of one member before other tasks run: a fraction of a millisecond.
const MAX_DELIVERIES_PER_TURN: usize = 2048;

/// The room service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Room {
    /// The format of messages.
    pub format: RoomFormat,
    /// The announcement of members that join and leave.
    pub presence: Presence,
    /// The history for new members.
    pub history: HistoryPolicy,
    /// The bounds of a member's queue.
    pub outbox: OutboxPolicy,
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

/// The announcement of members that join and leave.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Presence {
    /// No announcements.
    #[default]
    Off,
    /// Announcements to all members.
    On,
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
                    if budget.is_over(&self.outbox) {
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

    /// Publishes a text in a room without being a member.
    pub(crate) fn publish(&self, hub: &Hub, path: &Arc<str>, from: &str, text: &str) {
        let message = self.write(RoomEvent::Message { from, text });
        hub.publish(path, &message, self.history);
    }

    /// Returns the announcement of an event, if presence is on.
    fn announce(&self, event: RoomEvent<'_>) -> Option<Text> {
        match self.presence {
            Presence::On => Some(self.write(event)),
            Presence::Off => None,
        }
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
    fn is_over(&self, outbox: &OutboxPolicy) -> bool {
        self.texts > outbox.max_texts.get() / 4
            || self.bytes > outbox.max_bytes.get() / 4
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
        let outbox = session.outbox(room.outbox);
        let greeting = || room.announce(RoomEvent::Joined(&name));
        let Subscribed { subscription, kept } = hub.subscribe(
            session.path(),
            Arc::clone(&name),
            outbox,
            room.history,
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
            deliveries: self.subscription.publish(&message, self.room.history),
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
