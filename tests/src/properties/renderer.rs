//! The property of the client's output for a message.

use proto::escape::Escaped;
use ws_client::{
    console::{Reader, Records, message},
    websocket::Payload,
};

use crate::attacks::frames;

/// The greatest length of a displayed binary message.
const MAX_BINARY_CHARS: usize = 1024;

/// Checks the output. A terminal gets escaped lines of limited length; a program gets the exact
/// bytes. A text that is escaped for one line stays one line.
///
/// # Panics
///
/// If the property does not hold.
pub fn check(data: &[u8]) {
    assert_eq!(
        message(Payload::Binary(data), Reader::Program(Records::Lines)),
        data
    );
    let shown = shown(Payload::Binary(data));
    assert!(shown.len() <= MAX_BINARY_CHARS, "{} bytes", shown.len());
    assert!(shown.is_ascii(), "{shown}");
    let announced = format!("[binary, {} byte", data.len());
    assert!(shown.starts_with(&announced), "{shown}");
    check_text(&String::from_utf8_lossy(data));
}

fn check_text(text: &str) {
    assert_eq!(
        message(Payload::Text(text), Reader::Program(Records::Lines)),
        [text.as_bytes(), b"\n"].concat()
    );
    for payload in [Payload::Text(text), Payload::Binary(text.as_bytes())] {
        let raw = message(payload, Reader::Program(Records::Raw));
        assert_eq!(raw, text.as_bytes());
        let record = message(payload, Reader::Program(Records::Null));
        assert_eq!(record, [text.as_bytes(), b"\0"].concat());
    }
    let shown = shown(Payload::Text(text));
    // The longest escape of one byte has the form `\u{1b}`.
    assert!(shown.len() <= 6 * text.len() + 1, "{text:?}");
    assert_eq!(
        shown.matches('\n').count(),
        text.matches('\n').count() + 1,
        "{text:?}"
    );
    if !text.contains(|c| is_control(c) || c == '\\') {
        assert_eq!(shown, format!("{text}\n"), "harmless text is unchanged");
    }
    let line = Escaped(text).to_string();
    assert!(!line.contains(is_control), "{line:?}");
    assert!(line.len() <= 6 * text.len(), "{text:?}");
}

/// Returns the output for a terminal, and asserts that it has no control characters.
fn shown(payload: Payload<'_>) -> String {
    let bytes = message(payload, Reader::Terminal);
    let shown = String::from_utf8(bytes).expect("a terminal gets text");
    assert!(shown.ends_with('\n'), "{shown:?}");
    assert!(
        !shown.contains(|c| c != '\n' && is_control(c)),
        "{shown:?} of {payload:?}"
    );
    shown
}

/// Returns whether a terminal interprets the character: C0 and C1 controls, and characters that
/// break lines or change direction (Unicode `White_Space` and `Bidi_Control`).
fn is_control(c: char) -> bool {
    matches!(
        u32::from(c),
        0..=0x1F | 0x7F..=0x9F | 0x61C | 0x200E | 0x200F | 0x2028..=0x202E | 0x2066..=0x2069
    )
}

/// Returns texts with terminal controls, and invalid frames.
pub fn seeds() -> Vec<(String, Vec<u8>)> {
    let texts: [(&str, &str); 10] = [
        ("plain", "plain, 你好"),
        ("lines", "one\r\ntwo\nthree\rfour\r"),
        ("clear_screen", "\x1b[2J\x1b[H"),
        ("clipboard", "\x1b]52;c;aGVsbG8=\x07"),
        ("title", "\x1b]0;title\x1b\\"),
        ("c1", "\u{9b}31m\u{9d}0;title\u{9c}"),
        ("backspace", "user\x08\x08\x08\x08root"),
        ("bidi", "user\u{202e}nimda\u{2066}x\u{2069}\u{200f}\u{61c}"),
        ("separators", "one\u{2028}two\u{2029}three\u{85}four"),
        ("tab_and_delete", "a\tb\x7fc\0"),
    ];
    let texts = texts.map(|(name, text)| (name.to_owned(), text.into()));
    let frames = frames::ALL
        .iter()
        .map(|bad| (bad.name.to_owned(), (bad.bytes)()));
    // Long frames only exceed limits.
    let frames = frames.filter(|(_, bytes)| bytes.len() < 1024);
    texts.into_iter().chain(frames).collect()
}
