//! Room messages: parsed from JSON, and put in words for a terminal.
//!
//! A room message is one JSON object with exactly the keys of its kind. Any other message is not a
//! room message.

use std::fmt::Write as _;

use super::{folding::folded, sanitize::safe_lines, screen::Screen};
use chrono::{DateTime, FixedOffset, TimeZone};
use proto::{escape::Escaped, plural::plural};
use serde::{Deserialize, Deserializer};

/// The indent of further rows of a message, as wide as the time. No member can therefore send a
/// text that looks like the start of another message.
const INDENT: &str = "         ";

/// A message of a room to its members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RoomMessage {
    /// A member sent a text.
    Said {
        from: String,
        text: String,
        at: DateTime<FixedOffset>,
    },
    /// A member joined.
    Joined {
        who: String,
        at: DateTime<FixedOffset>,
    },
    /// A member left.
    Left {
        who: String,
        at: DateTime<FixedOffset>,
    },
    /// The number of messages that were dropped because this member read too slowly.
    Lost(u64),
}

/// All keys. Each kind of message has some of them.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Keys {
    #[serde(deserialize_with = "present")]
    from: Option<String>,
    #[serde(deserialize_with = "present")]
    text: Option<String>,
    #[serde(deserialize_with = "present")]
    joined: Option<String>,
    #[serde(deserialize_with = "present")]
    left: Option<String>,
    #[serde(deserialize_with = "present")]
    lost: Option<u64>,
    #[serde(deserialize_with = "present")]
    at: Option<String>,
}

/// Deserializes the value of a present key, for which `null` is invalid.
fn present<'de, D, T>(value: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(value).map(Some)
}

impl RoomMessage {
    /// Parses a room message, or returns `None` for any other text. Parsing stops at the first
    /// unknown key, so that other JSON costs little at any length.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        // Serde would accept an array of the values.
        if !text.starts_with('{') {
            return None;
        }
        let at = |at: String| DateTime::parse_from_rfc3339(&at).ok();
        match serde_json::from_str(text).ok()? {
            Keys {
                from: Some(from),
                text: Some(text),
                at: Some(moment),
                joined: None,
                left: None,
                lost: None,
            } => Some(Self::Said {
                from,
                text,
                at: at(moment)?,
            }),
            Keys {
                joined: Some(who),
                at: Some(moment),
                from: None,
                text: None,
                left: None,
                lost: None,
            } => Some(Self::Joined {
                who,
                at: at(moment)?,
            }),
            Keys {
                left: Some(who),
                at: Some(moment),
                from: None,
                text: None,
                joined: None,
                lost: None,
            } => Some(Self::Left {
                who,
                at: at(moment)?,
            }),
            Keys {
                lost: Some(count),
                from: None,
                text: None,
                joined: None,
                left: None,
                at: None,
            } => Some(Self::Lost(count)),
            _ => None,
        }
    }

    /// Puts the message in words for a screen. Times are in its zone, with the date unless it is
    /// today. Text of members is escaped.
    pub(crate) fn in_words<Z: TimeZone>(&self, screen: &Screen<Z>) -> String {
        let now = &screen.now;
        let words = match self {
            Self::Said { from, text, at } => {
                format!("{} {}: {}", time(at, now), Escaped(from), safe_lines(text))
            }
            Self::Joined { who, at } => format!("{} {} joined", time(at, now), Escaped(who)),
            Self::Left { who, at } => format!("{} {} left", time(at, now), Escaped(who)),
            Self::Lost(count) => plural(*count, "message was", "messages were") + " lost",
        };
        folded(&words, usize::from(screen.columns), INDENT)
    }
}

/// Formats a time of day, with the date if it is not today.
fn time<Z: TimeZone>(at: &DateTime<FixedOffset>, now: &DateTime<Z>) -> String {
    let at = at.with_timezone(&now.timezone()).naive_local();
    let mut words = String::new();
    if at.date() != now.date_naive() {
        write!(words, "{} ", at.format("%Y-%m-%d")).expect("writing to a string cannot fail");
    }
    write!(words, "{}", at.format("%H:%M:%S")).expect("writing to a string cannot fail");
    words
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, FixedOffset, Utc};
    use proptest::prelude::*;
    use proto::escape::is_unsafe;
    use serde_json::json;
    use unicode_width::UnicodeWidthStr as _;

    use super::{INDENT, RoomMessage, time};
    use crate::console::screen::Screen;

    /// Returns a screen in the zone UTC+1.
    fn screen(columns: u16) -> Screen<FixedOffset> {
        Screen {
            now: DateTime::parse_from_rfc3339("2026-11-25T17:45:00+01:00").unwrap(),
            columns,
        }
    }

    fn shown(text: &str) -> Option<String> {
        RoomMessage::parse(text).map(|message| message.in_words(&screen(80)))
    }

    #[test]
    fn room_message_is_put_in_words() {
        for (text, words) in [
            (
                r#"{"from":"jane","text":"hello","at":"2026-11-25T16:40:05.123Z"}"#,
                "17:40:05 jane: hello",
            ),
            (
                r#"{"from":"guest:17","text":"","at":"2026-11-25T16:40:05Z"}"#,
                "17:40:05 guest:17: ",
            ),
            (
                r#"{"joined":"jane","at":"2026-11-25T16:40:05.123Z"}"#,
                "17:40:05 jane joined",
            ),
            (
                r#"{"left":"jane","at":"2026-11-25T16:40:05.123Z"}"#,
                "17:40:05 jane left",
            ),
            (r#"{"lost":12}"#, "12 messages were lost"),
            (r#"{"lost":1}"#, "1 message was lost"),
            // The order of keys and the spaces do not matter.
            (
                r#"{ "at": "2026-11-25T16:40:05Z", "text": "\u4f60", "from": "j" } "#,
                "17:40:05 j: 你",
            ),
        ] {
            assert_eq!(shown(text).as_deref(), Some(words), "{text}");
        }
    }

    #[test]
    fn other_day_is_shown_with_date() {
        for (at, words) in [
            ("2026-11-24T23:00:00Z", "00:00:00 j left"),
            ("2026-11-24T22:59:59Z", "2026-11-24 23:59:59 j left"),
            ("2026-11-25T23:00:00Z", "2026-11-26 00:00:00 j left"),
            ("2025-11-25T16:40:05Z", "2025-11-25 17:40:05 j left"),
            ("2026-11-25T11:40:05-05:00", "17:40:05 j left"),
            ("2016-12-31T23:59:60Z", "2017-01-01 00:59:60 j left"),
            ("9999-12-31T23:59:59Z", "+10000-01-01 00:59:59 j left"),
            ("0000-01-01T00:00:00+23:00", "-0001-12-31 02:00:00 j left"),
        ] {
            let text = json!({ "left": "j", "at": at }).to_string();
            assert_eq!(shown(&text).as_deref(), Some(words), "{at}");
        }
    }

    #[test]
    fn other_json_is_no_room_message() {
        for text in [
            "",
            "hello",
            "{",
            "{}",
            "null",
            "12",
            r#"{"from":"jane","text":"hello"}"#,
            r#"{"text":"hello","at":"2026-11-25T16:40:05Z"}"#,
            r#"{"from":"jane","at":"2026-11-25T16:40:05Z"}"#,
            r#"{"joined":"jane"}"#,
            r#"{"at":"2026-11-25T16:40:05Z"}"#,
            r#"{"lost":-1}"#,
            r#"{"lost":1.5}"#,
            r#"{"lost":"12"}"#,
            r#"{"lost":null}"#,
            r#"{"lost":12}{"lost":12}"#,
            r#" {"lost":12}"#,
            r#"{"lost":12,"lost":12}"#,
            r#"{"lost":12,"at":"2026-11-25T16:40:05Z"}"#,
            r#"{"lost":12,"more":1}"#,
            r#"["jane","hello",null,null,null,"2026-11-25T16:40:05Z"]"#,
            r#"{"joined":"jane","left":"jane","at":"2026-11-25T16:40:05Z"}"#,
            r#"{"from":"jane","text":"hello","lost":null,"at":"2026-11-25T16:40:05Z"}"#,
            r#"{"from":7,"text":"hello","at":"2026-11-25T16:40:05Z"}"#,
            r#"{"from":"jane","text":["hello"],"at":"2026-11-25T16:40:05Z"}"#,
            r#"{"joined":"jane","at":"16:40:05"}"#,
            r#"{"joined":"jane","at":"2026-11-25T16:40:05"}"#,
            r#"{"joined":"jane","at":"2026-02-30T16:40:05Z"}"#,
            r#"{"joined":"jane","at":1795624805}"#,
        ] {
            assert_eq!(RoomMessage::parse(text), None, "{text}");
        }
    }

    /// Some characters have no columns by the tables and take some on the screen.
    #[test]
    fn invisible_padding_begins_no_row() {
        for c in [
            '\u{ad}', '\u{3164}', '\u{ffa0}', '\u{a8fa}', '\u{200b}', '\u{1160}', ' ',
        ] {
            let padded = format!("{}17:40:06 bob: hi", String::from(c).repeat(65));
            let message = json!({ "from": "jane", "text": padded, "at": "2026-11-25T16:40:05Z" });
            let words = shown(&message.to_string()).unwrap();
            let mut rows = words.split('\n').skip(1);
            assert!(rows.all(|row| row.starts_with(INDENT)), "{words:?}");
            assert!(
                words.split('\n').all(|row| row.chars().count() <= 80),
                "{words:?}"
            );
            assert!(words.contains('\n'), "{words:?}");
        }
    }

    #[test]
    fn one_message_never_looks_like_two() {
        for (from, text, words) in [
            (
                "jane",
                "one\ntwo\r\n17:40:06 bob: three",
                "17:40:05 jane: one\n         two\n         17:40:06 bob: three",
            ),
            (
                "jane",
                "\n\n17:40:06 bob left\n",
                "17:40:05 jane: \n         \n         17:40:06 bob left\n         ",
            ),
            (
                "jane\n17:40:06 bob",
                "hi",
                "17:40:05 jane\\n17:40:06 bob: hi",
            ),
            (
                "jane",
                "\x1b[2K\r17:40:06 bob: hi",
                "17:40:05 jane: \\u{1b}[2K\\r17:40:06 bob: hi",
            ),
            (
                "jane\u{202e}",
                "\u{2028}\u{85}\u{b}\u{c}x",
                "17:40:05 jane\\u{202e}: \\u{2028}\\u{85}\\u{b}\\u{c}x",
            ),
        ] {
            let message = json!({ "from": from, "text": text, "at": "2026-11-25T16:40:05Z" });
            assert_eq!(shown(&message.to_string()).as_deref(), Some(words));
        }
        let joined = json!({ "joined": "a\nb\x1b", "at": "2026-11-25T16:40:05Z" });
        assert_eq!(
            shown(&joined.to_string()).as_deref(),
            Some("17:40:05 a\\nb\\u{1b} joined")
        );
    }

    #[test]
    fn long_text_is_folded_before_the_terminal_wraps() {
        for (text, columns, words) in [
            ("ab", 18, "17:40:05 jane: ab"),
            ("abc", 18, "17:40:05 jane: abc"),
            ("abcd", 18, "17:40:05 jane: abc\n         d"),
            (
                "---17:40:06 bob",
                18,
                "17:40:05 jane: ---\n         17:40:06 \n         bob",
            ),
            ("ab\nc", 18, "17:40:05 jane: ab\n         c"),
            ("abc\nd", 18, "17:40:05 jane: abc\n         d"),
            // Two columns are left, and a combining mark needs none.
            ("ab你", 18, "17:40:05 jane: ab\n         你"),
            ("abe\u{301}", 18, "17:40:05 jane: abe\u{301}"),
            // Some terminals draw the parts one by one.
            (
                "\u{1f469}\u{200d}\u{1f469}",
                18,
                "17:40:05 jane: \u{1f469}\u{200d}\n         \u{1f469}",
            ),
            (
                "a\u{2764}\u{fe0f}b",
                18,
                "17:40:05 jane: a\u{2764}\u{fe0f}\n         b",
            ),
            ("a\nb c", 5, "17:40:05 jane: a\n         b c"),
        ] {
            let message = json!({ "from": "jane", "text": text, "at": "2026-11-25T16:40:05Z" });
            let message = RoomMessage::parse(&message.to_string()).unwrap();
            assert_eq!(message.in_words(&screen(columns)), words);
        }
    }

    /// Generates text with many imitations of a line's begin.
    fn tricky() -> impl Strategy<Value = String> {
        let part = prop_oneof![
            any::<String>(),
            "[\n\r\t\u{b}\u{85}\u{2028}\u{202e}\u{1b} ]{0,4}",
            Just("17:40:06 bob: hi".to_owned()),
            Just("bob left".to_owned()),
        ];
        proptest::collection::vec(part, 0..6).prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn any_text_begins_exactly_one_line(
            who in tricky(),
            text in tricky(),
            seconds in -70_000_000_000_i64..260_000_000_000,
            columns in 18_u16..60,
        ) {
            let moment = DateTime::<Utc>::from_timestamp(seconds, 0).unwrap();
            let at = moment.to_rfc3339();
            for message in [
                json!({ "from": who, "text": text, "at": at }),
                json!({ "joined": who, "at": at }),
                json!({ "left": who, "at": at }),
            ] {
                let Some(message) = RoomMessage::parse(&message.to_string()) else {
                    prop_assert!(at.starts_with(['-', '+']), "{at}");
                    continue;
                };
                let words = message.in_words(&screen(columns));
                prop_assert!(!words.chars().any(|c| c != '\n' && is_unsafe(c)), "{words:?}");
                let too_wide = |row: &str| row.width() > usize::from(columns);
                prop_assert!(!words.split('\n').any(too_wide), "{words:?}");
                let mut rows = words.split('\n');
                let time = time(&moment.fixed_offset(), &screen(columns).now);
                prop_assert!(rows.next().unwrap().starts_with(&time[..time.len().min(18)]));
                prop_assert!(rows.all(|row| row.starts_with(INDENT)), "{words:?}");
                // In the zone of this machine, whichever it is.
                message.in_words(&Screen::here());
            }
        }

        #[test]
        fn any_text_is_rendered_without_a_panic(text in any::<String>(), more in "[{\\[\"a-z:,0-9\\]} ]*") {
            RoomMessage::parse(&text);
            RoomMessage::parse(&format!("{{{text}"));
            RoomMessage::parse(&format!("{{{more}"));
        }
    }
}
