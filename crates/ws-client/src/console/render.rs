//! The rendering of messages for stdout.

use chrono::TimeZone;

use super::{
    folding::folded,
    records::Records,
    room_message::RoomMessage,
    sanitize::{hexadecimal, safe_lines},
    screen::Screen,
};
use crate::websocket::Payload;

/// The receiver of stdout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// A terminal, which would interpret control characters.
    Terminal,
    /// A program or a file, which receives the bytes unchanged, in this form.
    Program(Records),
    /// A program that reads events, which hold the messages.
    Events,
}

/// The indent of further rows of a text. No text of one member of a room can therefore look like
/// that of another one.
const INDENT: &str = "  ";

/// Renders a message for a screen, with a final newline. A terminal gets texts in indented rows, and
/// room messages in words. All others are rendered as by [`message`].
pub(crate) fn message_on<Z: TimeZone>(
    payload: Payload<'_>,
    reader: Reader,
    screen: impl FnOnce() -> Screen<Z>,
) -> Vec<u8> {
    let Payload::Text(text) = payload else {
        return message(payload, reader);
    };
    match reader {
        Reader::Program(_) | Reader::Events => message(payload, reader),
        Reader::Terminal => {
            let screen = screen();
            let mut rows = match RoomMessage::parse(text) {
                Some(told) => told.in_words(&screen),
                None => folded(&safe_lines(text), usize::from(screen.columns), INDENT),
            };
            rows.push('\n');
            rows.into_bytes()
        }
    }
}

/// Renders a message, and a room message as its JSON. For a terminal, a text is escaped, the first
/// bytes of a binary message are shown in hexadecimal, and a newline follows. A program gets the bytes
/// unchanged, and what follows each message in its form. A reader of events gets nothing more.
pub fn message(payload: Payload<'_>, reader: Reader) -> Vec<u8> {
    let (mut written, end): (Vec<u8>, &[u8]) = match (payload, reader) {
        (Payload::Text(text), Reader::Terminal) => (safe_lines(text).into_bytes(), b"\n"),
        (Payload::Binary(bytes), Reader::Terminal) => (hexadecimal(bytes).into_bytes(), b"\n"),
        (Payload::Text(text), Reader::Program(records)) => (text.into(), records.after_text()),
        (Payload::Binary(bytes), Reader::Program(records)) => {
            (bytes.into(), records.after_binary())
        }
        (_, Reader::Events) => (Vec::new(), b""),
    };
    written.extend_from_slice(end);
    written
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};

    use super::{Payload, Reader, Records, message, message_on};
    use crate::console::screen::Screen;

    fn shown(payload: Payload<'_>, reader: Reader) -> String {
        String::from_utf8(message(payload, reader)).unwrap()
    }

    #[test]
    fn terminal_gets_no_control_except_line_breaks() {
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
    fn program_gets_unchanged_bytes() {
        let text = "a\r\n\x1b[2J\u{202e}";
        assert_eq!(
            shown(Payload::Text(text), Reader::Program(Records::Lines)),
            format!("{text}\n")
        );
        assert_eq!(
            message(
                Payload::Binary(b"\xff\0\r"),
                Reader::Program(Records::Lines)
            ),
            b"\xff\0\r"
        );
    }

    #[test]
    fn terminal_gets_binary_as_hexadecimal() {
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
    fn terminal_gets_long_binary_shortened() {
        let long = shown(Payload::Binary(&[0; 1000]), Reader::Terminal);
        assert_eq!(long.lines().count(), 1 + 16 + 1);
        assert!(long.ends_with("00\n[744 more not shown]\n"), "{long}");
    }

    #[test]
    fn room_message_is_in_words_only_on_terminals() {
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
                Payload::Text("jane: a\r\nbob: hi"),
                Reader::Terminal,
                "jane: a\n  bob: hi\n",
            ),
            (
                Payload::Text(&format!("{}bob: hi", " ".repeat(80))),
                Reader::Terminal,
                &format!("{}\n  bob: hi\n", " ".repeat(80)),
            ),
            (
                Payload::Binary(b"{"),
                Reader::Terminal,
                "[binary, 1 byte]\n7b\n",
            ),
        ] {
            let bytes = message_on(payload, reader, screen);
            assert_eq!(String::from_utf8(bytes).unwrap(), written);
        }
        for (payload, end) in [
            (Payload::Text(text), "\n"),
            (Payload::Binary(text.as_bytes()), ""),
        ] {
            assert_eq!(
                message_on(payload, Reader::Program(Records::Lines), screen),
                format!("{text}{end}").into_bytes()
            );
        }
    }
}
