//! Everybody on a path hears what one of them says.

use std::{convert::Infallible, sync::Arc, time::SystemTime};

use humantime::format_rfc3339_millis;
use proto::{close::CloseReason, escape::Escaped};
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    task::yield_now,
};

use super::hub::{HistoryPolicy, Hub, Subscribed, Subscription};
use crate::session::{Ended, Event, Message, OutboxPolicy, Session, Text};

/// How often a member may be heard before others have their turn: a fraction of a millisecond.
const MAX_DELIVERIES_PER_TURN: usize = 2048;

/// The room service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Room {
    /// How texts are written.
    pub format: RoomFormat,
    /// Whether those who are there are told who comes and goes.
    pub presence: Presence,
    /// How much of what was said those who come later are told.
    pub history: HistoryPolicy,
    /// How much may wait for a member that reads slowly.
    pub outbox: OutboxPolicy,
}

/// How a room writes its texts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RoomFormat {
    /// As an object of JSON, with the name of the speaker and the time.
    #[default]
    Json,
    /// As a line, with the name before it.
    Plain,
}

/// Whether comings and goings are told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Presence {
    /// They are not.
    #[default]
    Off,
    /// They are.
    On,
}

/// What a room tells its members.
#[derive(Debug, Clone, Copy)]
enum RoomEvent<'a> {
    Said { from: &'a str, text: &'a str },
    Joined(&'a str),
    Left(&'a str),
    Lost(u64),
}

/// A message of a room as an object of JSON, with its keys in this order.
#[derive(Serialize)]
#[serde(rename_all = "lowercase", untagged)]
enum RoomEventJson<'a> {
    Said {
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
    /// Lets a session take part until it is over.
    pub async fn run<S>(
        &self,
        session: &mut Session<S>,
        hub: &Arc<Hub>,
    ) -> Result<Infallible, Ended>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let (membership, kept) = Membership::begin(self, session, hub);
        for text in kept {
            session.send(text).await?;
        }
        let mut budget = YieldBudget::default();
        loop {
            match session.next().await? {
                Event::Message(Message::Text(text)) => {
                    budget.add(membership.say(&text));
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

    /// Says something in a room without being there.
    pub(crate) fn publish(&self, hub: &Hub, path: &Arc<str>, from: &str, text: &str) {
        let said = self.write(RoomEvent::Said { from, text });
        hub.publish(path, &said, self.history);
    }

    /// Writes who comes or goes, if that is told here.
    fn announce(&self, event: RoomEvent<'_>) -> Option<Text> {
        match self.presence {
            Presence::On => Some(self.write(event)),
            Presence::Off => None,
        }
    }

    /// Writes news once, for all who are told.
    fn write(&self, event: RoomEvent<'_>) -> Text {
        let at = || format_rfc3339_millis(SystemTime::now()).to_string();
        let written = match self.format {
            RoomFormat::Json => {
                let object = match event {
                    RoomEvent::Said { from, text } => RoomEventJson::Said {
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
                // Were a line break left in it, what follows could look like another's words.
                RoomEvent::Said { from, text } => format!("{from}: {}", Escaped(text)),
                RoomEvent::Joined(name) => format!("* {name} joined"),
                RoomEvent::Left(name) => format!("* {name} left"),
                RoomEvent::Lost(1) => "* 1 message was lost".to_owned(),
                RoomEvent::Lost(texts) => format!("* {texts} messages were lost"),
            },
        };
        written.into()
    }
}

/// What a member has said since others had their turn.
#[derive(Debug, Default, Clone, Copy)]
struct YieldBudget {
    texts: usize,
    bytes: usize,
    /// How many were told, each text counted for each of them.
    deliveries: usize,
}

impl YieldBudget {
    fn add(&mut self, said: YieldBudget) {
        self.texts += said.texts;
        self.bytes += said.bytes;
        self.deliveries += said.deliveries;
    }

    /// Whether others are to have theirs now. Messages that arrive together would otherwise fill the
    /// queues of all who had no chance to read in between, and these would pass for slow readers.
    fn is_over(&self, outbox: &OutboxPolicy) -> bool {
        self.texts > outbox.max_texts.get() / 4
            || self.bytes > outbox.max_bytes.get() / 4
            || self.deliveries > MAX_DELIVERIES_PER_TURN
    }
}

/// A member's place in a room, which it leaves whatever ends it.
#[derive(Debug)]
struct Membership<'a> {
    room: &'a Room,
    name: Arc<str>,
    subscription: Subscription,
}

impl<'a> Membership<'a> {
    /// Enters the room, and yields what was said there before.
    fn begin<S>(room: &'a Room, session: &Session<S>, hub: &Arc<Hub>) -> (Self, Vec<Text>)
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

    fn say(&self, text: &str) -> YieldBudget {
        let from = &self.name;
        let said = self.room.write(RoomEvent::Said { from, text });
        YieldBudget {
            texts: 1,
            bytes: said.len(),
            deliveries: self.subscription.publish(&said, self.room.history),
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
