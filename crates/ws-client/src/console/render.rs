//! What is written for a message of the server, and for a text about it.

use std::fmt::Write as _;

use chrono::TimeZone;
use proto::escape::{is_unsafe, write_escaped};

use super::{room_message::RoomMessage, screen::Screen};

/// How much of a binary message a person is shown.
const SHOWN_BYTES: usize = 256;

/// How many bytes stand on one line of hexadecimal digits.
const BYTES_A_LINE: usize = 16;

/// A message's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Payload<'a> {
    /// Of a text message.
    Text(&'a str),
    /// Of a binary message.
    Binary(&'a [u8]),
}

/// Who reads what is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// A terminal, which would obey control characters.
    Terminal,
    /// A program or a file, which gets the bytes as they came.
    Program,
}

/// A message as it is written for this screen, with the newline that ends it. What a room tells is
/// put in words at a terminal; any other message is written as [`message`] has it.
pub(crate) fn message_on<Z: TimeZone>(
    payload: Payload<'_>,
    reader: Reader,
    screen: impl FnOnce() -> Screen<Z>,
) -> Vec<u8> {
    let told = match (payload, reader) {
        (Payload::Text(text), Reader::Terminal) => RoomMessage::parse(text),
        (Payload::Binary(_), Reader::Terminal) | (_, Reader::Program) => None,
    };
    match told {
        Some(told) => {
            let mut line = told.in_words(&screen());
            line.push('\n');
            line.into_bytes()
        }
        None => message(payload, reader),
    }
}

/// A message as it is written wherever it comes from, with the newline that ends it.
pub fn message(payload: Payload<'_>, reader: Reader) -> Vec<u8> {
    let mut written = match (payload, reader) {
        (Payload::Text(text), Reader::Terminal) => safe_lines(text).into_bytes(),
        (Payload::Binary(bytes), Reader::Terminal) => hexadecimal(bytes).into_bytes(),
        (Payload::Text(text), Reader::Program) => text.into(),
        (Payload::Binary(bytes), Reader::Program) => bytes.into(),
    };
    written.push(b'\n');
    written
}

/// A text of the server's, made safe for a terminal: its line breaks are kept, everything that
/// would move the cursor or reorder the line is escaped.
pub(crate) fn safe_lines(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        if c == '\n' {
            safe.push('\n');
        } else if c == '\r' && rest.peek() == Some(&'\n') {
            // The line feed that follows breaks the line.
        } else if is_unsafe(c) {
            write_escaped(c, &mut safe).expect("a string takes everything");
        } else {
            safe.push(c);
        }
    }
    safe
}

/// A binary message for a person: its length, and its first bytes.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    let plural = if bytes.len() == 1 { "" } else { "s" };
    let mut shown = format!("[binary, {} byte{plural}]", bytes.len());
    for line in bytes[..bytes.len().min(SHOWN_BYTES)].chunks(BYTES_A_LINE) {
        shown.push('\n');
        for (index, byte) in line.iter().enumerate() {
            let gap = if index == 0 { "" } else { " " };
            write!(shown, "{gap}{byte:02x}").expect("a string takes everything");
        }
    }
    if bytes.len() > SHOWN_BYTES {
        let hidden = bytes.len() - SHOWN_BYTES;
        write!(shown, "\n[{hidden} more not shown]").expect("a string takes everything");
    }
    shown
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};
    use proptest::prelude::*;
    use proto::escape::is_unsafe;

    use super::{Payload, Reader, message, message_on, safe_lines};
    use crate::console::Screen;

    fn shown(payload: Payload<'_>, reader: Reader) -> String {
        String::from_utf8(message(payload, reader)).unwrap()
    }

    #[test]
    fn a_terminal_gets_line_breaks_and_no_other_control() {
        for (text, expected) in [
            ("plain, 你好", "plain, 你好\n"),
            ("", "\n"),
            ("a\r\nb\nc", "a\nb\nc\n"),
            ("a\rb", "a\\rb\n"),
            ("a\r", "a\\r\n"),
            ("a\r\r\nb", "a\\r\nb\n"),
            ("tab\there", "tab\\there\n"),
            ("\x1b]52;c;aGk=\x07", "\\u{1b}]52;c;aGk=\\u{7}\n"),
            ("\u{9b}2J", "\\u{9b}2J\n"),
            ("\x08\x7f", "\\u{8}\\u{7f}\n"),
            ("user\u{202e}nimda", "user\\u{202e}nimda\n"),
        ] {
            assert_eq!(shown(Payload::Text(text), Reader::Terminal), expected);
        }
    }

    #[test]
    fn a_program_gets_the_bytes_as_they_came() {
        let text = "a\r\n\x1b[2J\u{202e}";
        assert_eq!(
            shown(Payload::Text(text), Reader::Program),
            format!("{text}\n")
        );
        assert_eq!(
            message(Payload::Binary(b"\xff\0\r"), Reader::Program),
            b"\xff\0\r\n"
        );
    }

    #[test]
    fn a_terminal_gets_binary_as_hexadecimal_digits() {
        for (bytes, expected) in [
            (&b""[..], "[binary, 0 bytes]\n"),
            (b"\x1b", "[binary, 1 byte]\n1b\n"),
            (
                b"0123456789abcdefX",
                "[binary, 17 bytes]\n\
                 30 31 32 33 34 35 36 37 38 39 61 62 63 64 65 66\n58\n",
            ),
        ] {
            assert_eq!(shown(Payload::Binary(bytes), Reader::Terminal), expected);
        }
    }

    #[test]
    fn a_terminal_is_not_flooded_by_a_binary_message() {
        let long = shown(Payload::Binary(&[0; 1000]), Reader::Terminal);
        assert_eq!(long.lines().count(), 1 + 16 + 1);
        assert!(long.ends_with("00\n[744 more not shown]\n"), "{long}");
    }

    #[test]
    fn what_a_room_tells_is_put_in_words_for_people_only() {
        let screen = || Screen {
            now: DateTime::<Utc>::from_timestamp(0, 0).unwrap(),
            columns: 80,
        };
        let text = r#"{"joined":"jane","at":"1970-01-01T00:00:07.123Z"}"#;
        for (payload, reader, written) in [
            (
                Payload::Text(text),
                Reader::Terminal,
                "00:00:07 jane joined\n",
            ),
            (Payload::Text("{}\x1b"), Reader::Terminal, "{}\\u{1b}\n"),
            (
                Payload::Binary(b"{"),
                Reader::Terminal,
                "[binary, 1 byte]\n7b\n",
            ),
        ] {
            let bytes = message_on(payload, reader, screen);
            assert_eq!(String::from_utf8(bytes).unwrap(), written);
        }
        for payload in [Payload::Text(text), Payload::Binary(text.as_bytes())] {
            assert_eq!(
                message_on(payload, Reader::Program, screen),
                format!("{text}\n").into_bytes()
            );
        }
    }

    proptest! {
        #[test]
        fn nothing_but_line_feeds_is_left_to_obey(text in any::<String>()) {
            prop_assert!(!safe_lines(&text).chars().any(|c| c != '\n' && is_unsafe(c)));
        }
    }
}
