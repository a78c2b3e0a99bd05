//! Matching of received messages with sent ones, where the messages allow it.
//!
//! Most servers send one answer to each message, so each received message counts. A room returns
//! each message to its sender, in order, between the messages of other members.

use proto::username::UserName;

use super::outcome::MessageCounts;
use crate::{
    console::RoomMessage,
    websocket::{Message, Payload},
};

/// The sent messages and the answers to them.
#[derive(Debug, Default)]
pub(super) struct ReplyTracker {
    counts: MessageCounts,
    /// True if the server may have sent a greeting. A greeting after the first sent message looks
    /// like an answer, so equal counts do not prove that all messages were answered.
    may_be_greeted: bool,
    /// True for a stream of bytes, whose messages are no answers to single ones.
    is_stream: bool,
    /// The user who logged in. A guest does not know the name that a room gave it.
    name: Option<UserName>,
    /// True once a room message was received.
    in_room: bool,
    /// The last sent message, until a room returns it. Equal counts prove nothing there: the
    /// history that a room sends first may hold the user's messages of an earlier session.
    last: Option<Message>,
}

/// The relation of a received message to the sent ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReplyKind {
    /// The message counts as an answer.
    Reply,
    /// The message would have been sent in any case.
    Unsolicited,
}

impl ReplyTracker {
    /// Creates a tracker for this user, or for a guest without a name.
    pub(super) fn for_user(name: Option<UserName>) -> Self {
        Self {
            name,
            ..Self::default()
        }
    }

    /// Makes this the tracker of a stream of bytes. No message of it is an answer.
    pub(super) fn of_stream(self) -> Self {
        Self {
            is_stream: true,
            ..self
        }
    }

    /// Returns the user who logged in, if the name is known.
    pub(super) fn user(&self) -> Option<&str> {
        self.name.as_ref().map(UserName::as_str)
    }

    /// Marks the server as one that may send a greeting.
    pub(super) fn with_greeting(self) -> Self {
        Self {
            may_be_greeted: true,
            ..self
        }
    }

    /// Records the message that is about to be sent.
    pub(super) fn note_queued(&mut self, message: &Message) {
        if self.is_stream {
            return;
        }
        self.last = Some(message.clone());
    }

    /// Records that the queued message was sent.
    pub(super) fn note_sent(&mut self) {
        if self.is_stream {
            return;
        }
        self.counts.sent += 1;
    }

    /// Records a received message and classifies it.
    pub(super) fn note_received(&mut self, payload: Payload<'_>) -> ReplyKind {
        if self.is_stream {
            return ReplyKind::Reply;
        }
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
            // A room returns messages in order, so the earlier ones were returned too.
            None if is_last => self.counts.answered = self.counts.sent,
            Some(_) | None => return ReplyKind::Unsolicited,
        }
        if is_last {
            self.last = None;
        }
        ReplyKind::Reply
    }

    /// Returns true if the server is a room, whose other members speak at any time.
    pub(super) fn in_room(&self) -> bool {
        self.in_room
    }

    /// Returns true if every sent message has certainly been answered.
    pub(super) fn is_complete(&self) -> bool {
        if self.is_stream {
            return false;
        }
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
    const FROM_BOB: &str = r#"{"from":"bob","text":"hello","at":"2026-11-25T16:40:05Z"}"#;

    fn tracker(name: Option<&str>, sent: &[&str]) -> ReplyTracker {
        let mut replies = ReplyTracker::for_user(name.map(|name| UserName::parse(name).unwrap()));
        for text in sent {
            replies.note_queued(&Message::Text((*text).into()));
            replies.note_sent();
        }
        replies
    }

    /// Returns the kind of each message, the number of missing answers, and the completeness.
    fn take(replies: &mut ReplyTracker, received: &[&str]) -> (Vec<ReplyKind>, usize, bool) {
        let kinds = received
            .iter()
            .map(|text| replies.note_received(Payload::Text(text)))
            .collect();
        let unanswered = replies.counts().unanswered();
        (kinds, unanswered, replies.is_complete())
    }

    #[test]
    fn echo_any_message_is_an_answer() {
        use ReplyKind::Reply;
        let mut replies = tracker(Some("jane"), &["a", "b"]);
        assert_eq!(take(&mut replies, &["x"]), (vec![Reply], 1, false));
        assert_eq!(
            replies.note_received(Payload::Binary(HELLO.as_bytes())),
            Reply
        );
        assert!(replies.is_complete() && !replies.in_room());
    }

    #[test]
    fn greeting_makes_counts_unreliable_outside_rooms() {
        for (received, complete) in [("x", false), (HELLO, true)] {
            let mut replies = tracker(Some("jane"), &["hello"]).with_greeting();
            assert_eq!(take(&mut replies, &[received]).1, 0);
            assert_eq!(replies.is_complete(), complete, "{received}");
        }
        assert!(ReplyTracker::default().with_greeting().is_complete());
    }

    #[test]
    fn room_only_own_messages_are_answers() {
        use ReplyKind::{Reply, Unsolicited};
        for (received, expected) in [
            (&[FROM_BOB][..], (vec![Unsolicited], 1, false)),
            (&[HELLO], (vec![Reply], 0, true)),
            (&[EARLIER], (vec![Reply], 0, false)),
            (&[EARLIER, FROM_BOB], (vec![Reply, Unsolicited], 0, false)),
            (&[EARLIER, HELLO], (vec![Reply, Reply], 0, true)),
            (
                &[
                    r#"{"lost":2}"#,
                    r#"{"left":"jane","at":"2026-11-25T16:40:05Z"}"#,
                ],
                (vec![Unsolicited, Unsolicited], 1, false),
            ),
        ] {
            let mut replies = tracker(Some("jane"), &["hello"]);
            assert_eq!(take(&mut replies, received), expected, "{received:?}");
            assert!(replies.in_room());
        }
    }

    #[test]
    fn room_equal_messages_are_awaited_separately() {
        let mut replies = tracker(Some("jane"), &["hello", "hello"]);
        assert_eq!(take(&mut replies, &[HELLO]).1, 1);
        assert!(!replies.is_complete());
        assert_eq!(take(&mut replies, &[HELLO]).1, 0);
        assert!(replies.is_complete());
    }

    #[test]
    fn guest_recognises_last_message_by_its_text() {
        use ReplyKind::{Reply, Unsolicited};
        let mut replies = tracker(None, &["first", "hello"]);
        assert_eq!(
            take(&mut replies, &[EARLIER]),
            (vec![Unsolicited], 2, false)
        );
        assert_eq!(take(&mut replies, &[HELLO]), (vec![Reply], 0, true));
        assert_eq!(take(&mut replies, &[HELLO]), (vec![Unsolicited], 0, true));
    }
}
