//! Which of the messages that come are answers to those that were sent, as far as that can be known.
//!
//! Most servers answer each message with one, and so whatever comes counts. A room hands each
//! message back to whoever sent it, in order, and others speak in between.

use proto::username::UserName;

use super::outcome::MessageCounts;
use crate::{
    console::RoomMessage,
    websocket::{Message, Payload},
};

/// What is known of the answers.
#[derive(Debug, Default)]
pub(super) struct ReplyTracker {
    counts: MessageCounts,
    /// Whether what came may include a greeting. It looks like an answer if it comes after the
    /// first message was sent, and then as many messages as were sent do not mean as many answers.
    may_be_greeted: bool,
    /// Who logged in. A guest is not told under which name a room knows it.
    name: Option<UserName>,
    /// Whether a room has spoken.
    in_room: bool,
    /// What was sent last, until a room hands it back. As many messages of one's own as were sent
    /// prove nothing, because what a room tells first may be of an earlier visit.
    last: Option<Message>,
}

/// What a message that came is to those that were sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReplyKind {
    /// It answers one, for all that is known.
    Reply,
    /// It would have come without them.
    Unsolicited,
}

impl ReplyTracker {
    /// Tracks the replies to this user, or to a guest without a name.
    pub(super) fn for_user(name: Option<UserName>) -> Self {
        Self {
            name,
            ..Self::default()
        }
    }

    /// The same, with a server that may greet of its own accord.
    pub(super) fn with_greeting(self) -> Self {
        Self {
            may_be_greeted: true,
            ..self
        }
    }

    /// Takes note of what is about to be sent.
    pub(super) fn note_queued(&mut self, message: &Message) {
        self.last = Some(message.clone());
    }

    /// Takes note that it was.
    pub(super) fn note_sent(&mut self) {
        self.counts.sent += 1;
    }

    /// Takes note of a message that came.
    pub(super) fn note_received(&mut self, payload: Payload<'_>) -> ReplyKind {
        let room_message = match payload {
            Payload::Text(text) => RoomMessage::parse(text),
            Payload::Binary(_) => None,
        };
        let Some(room_message) = room_message else {
            self.counts.note_received();
            return ReplyKind::Reply;
        };
        self.in_room = true;
        let RoomMessage::Said { from, text, .. } = room_message else {
            return ReplyKind::Unsolicited;
        };
        let last = self.last.as_ref().map(Message::payload);
        let is_last = last == Some(Payload::Text(&text));
        match &self.name {
            Some(name) if name.as_str() == from => self.counts.note_received(),
            // What was sent before the last one came before it.
            None if is_last => self.counts.answered = self.counts.sent,
            Some(_) | None => return ReplyKind::Unsolicited,
        }
        if is_last {
            self.last = None;
        }
        ReplyKind::Reply
    }

    /// Whether others are there who speak without being asked.
    pub(super) fn in_room(&self) -> bool {
        self.in_room
    }

    /// Whether everything that was sent is sure to be answered.
    pub(super) fn is_complete(&self) -> bool {
        let all = self.counts.unanswered() == 0;
        if self.in_room {
            all && self.last.is_none()
        } else {
            all && !(self.may_be_greeted && self.counts.sent > 0)
        }
    }

    pub(super) fn counts(&self) -> MessageCounts {
        self.counts
    }
}

#[cfg(test)]
mod tests {
    use proto::username::UserName;

    use super::{ReplyKind, ReplyTracker};
    use crate::websocket::{Message, Payload};

    const HELLO: &str = r#"{"from":"jane","text":"hello","at":"2026-11-25T16:40:05Z"}"#;
    const EARLIER: &str = r#"{"from":"jane","text":"bye","at":"2026-11-24T16:40:05Z"}"#;
    const OF_BOB: &str = r#"{"from":"bob","text":"hello","at":"2026-11-25T16:40:05Z"}"#;

    fn of(name: Option<&str>, sent: &[&str]) -> ReplyTracker {
        let mut replies = ReplyTracker::for_user(name.map(|name| UserName::parse(name).unwrap()));
        for text in sent {
            replies.note_queued(&Message::Text((*text).into()));
            replies.note_sent();
        }
        replies
    }

    /// How each message stands, and what then lacks.
    fn take(replies: &mut ReplyTracker, came: &[&str]) -> (Vec<ReplyKind>, usize, bool) {
        let kinds = came
            .iter()
            .map(|text| replies.note_received(Payload::Text(text)))
            .collect();
        let unanswered = replies.counts().unanswered();
        (kinds, unanswered, replies.is_complete())
    }

    #[test]
    fn an_echo_answers_with_whatever_comes() {
        use ReplyKind::Reply;
        let mut replies = of(Some("jane"), &["a", "b"]);
        assert_eq!(take(&mut replies, &["x"]), (vec![Reply], 1, false));
        assert_eq!(
            replies.note_received(Payload::Binary(HELLO.as_bytes())),
            Reply
        );
        assert!(replies.is_complete() && !replies.in_room());
    }

    #[test]
    fn a_greeting_makes_the_count_doubtful_but_not_what_a_room_hands_back() {
        for (came, complete) in [("x", false), (HELLO, true)] {
            let mut replies = of(Some("jane"), &["hello"]).with_greeting();
            assert_eq!(take(&mut replies, &[came]).1, 0);
            assert_eq!(replies.is_complete(), complete, "{came}");
        }
        assert!(ReplyTracker::default().with_greeting().is_complete());
    }

    #[test]
    fn in_a_room_only_ones_own_messages_are_answers() {
        use ReplyKind::{Reply, Unsolicited};
        for (came, expected) in [
            (&[OF_BOB][..], (vec![Unsolicited], 1, false)),
            (&[HELLO], (vec![Reply], 0, true)),
            (&[EARLIER], (vec![Reply], 0, false)),
            (&[EARLIER, OF_BOB], (vec![Reply, Unsolicited], 0, false)),
            (&[EARLIER, HELLO], (vec![Reply, Reply], 0, true)),
            (
                &[
                    r#"{"lost":2}"#,
                    r#"{"left":"jane","at":"2026-11-25T16:40:05Z"}"#,
                ],
                (vec![Unsolicited, Unsolicited], 1, false),
            ),
        ] {
            let mut replies = of(Some("jane"), &["hello"]);
            assert_eq!(take(&mut replies, came), expected, "{came:?}");
            assert!(replies.in_room());
        }
    }

    #[test]
    fn of_equal_messages_each_one_is_awaited() {
        let mut replies = of(Some("jane"), &["hello", "hello"]);
        assert_eq!(take(&mut replies, &[HELLO]).1, 1);
        assert!(!replies.is_complete());
        assert_eq!(take(&mut replies, &[HELLO]).1, 0);
        assert!(replies.is_complete());
    }

    #[test]
    fn a_guest_knows_the_last_message_by_its_text() {
        use ReplyKind::{Reply, Unsolicited};
        let mut replies = of(None, &["first", "hello"]);
        assert_eq!(
            take(&mut replies, &[EARLIER]),
            (vec![Unsolicited], 2, false)
        );
        assert_eq!(take(&mut replies, &[HELLO]), (vec![Reply], 0, true));
        assert_eq!(take(&mut replies, &[HELLO]), (vec![Unsolicited], 0, true));
    }
}
