//! Text of a stranger, made safe to show.
//!
//! A terminal obeys control characters, and bidirectional controls make a line read as what it is
//! not. Both are shown as `\u{..}` wherever a peer's text meets a log or a terminal.

use std::fmt;

/// Whether a character could make a terminal or a reader see something other than the text: control
/// characters (C0, DEL, C1), line and paragraph separators, and bidirectional controls.
pub fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{061C}' // Arabic letter mark.
            | '\u{200E}' | '\u{200F}' // Left-to-right and right-to-left marks.
            | '\u{2028}' | '\u{2029}' // Line and paragraph separators.
            | '\u{202A}'..='\u{202E}' // Embeddings and overrides.
            | '\u{2066}'..='\u{2069}' // Isolates.
        )
}

/// Displays a text on one line, with each unsafe character written as `\u{..}`, or as `\r`, `\n`
/// and `\t` where it is one of those.
#[derive(Debug, Clone, Copy)]
pub struct Escaped<'a>(pub &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| write_escaped(c, f))
    }
}

/// Escapes the beginning of a text, up to this many of its characters. Dots stand for the rest.
pub fn escaped_start(text: &str, max_chars: usize) -> String {
    match text.char_indices().nth(max_chars) {
        Some((end, _)) => format!("{}...", Escaped(&text[..end])),
        None => Escaped(text).to_string(),
    }
}

/// Writes one character as [`Escaped`] shows it.
pub fn write_escaped(c: char, to: &mut impl fmt::Write) -> fmt::Result {
    match c {
        '\n' => to.write_str("\\n"),
        '\r' => to.write_str("\\r"),
        '\t' => to.write_str("\\t"),
        _ if is_unsafe(c) => write!(to, "{}", c.escape_unicode()),
        _ => to.write_char(c),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Escaped, escaped_start, is_unsafe};

    #[test]
    fn long_text_is_cut_and_marked() {
        for (text, shown) in [
            ("", ""),
            ("\u{1b}äb", "\\u{1b}äb"),
            ("\u{1b}äbc", "\\u{1b}äb..."),
        ] {
            assert_eq!(escaped_start(text, 3), shown);
        }
    }

    #[test]
    fn escapes_what_a_terminal_or_a_reader_would_obey() {
        for (text, shown) in [
            ("plain text, 你好, ünï", "plain text, 你好, ünï"),
            ("a\r\nb\tc", "a\\r\\nb\\tc"),
            ("\x1b[2Jgone", "\\u{1b}[2Jgone"),
            ("bell\x07 and \x7f", "bell\\u{7}\u{20}and \\u{7f}"),
            ("c1 \u{9b}31m", "c1 \\u{9b}31m"),
            ("user\u{202e}nimda", "user\\u{202e}nimda"),
            ("\u{2066}x\u{2069}", "\\u{2066}x\\u{2069}"),
            ("\u{2028}", "\\u{2028}"),
        ] {
            assert_eq!(Escaped(text).to_string(), shown);
        }
    }

    proptest! {
        #[test]
        fn nothing_unsafe_is_left(text in any::<String>()) {
            prop_assert!(!Escaped(&text).to_string().chars().any(is_unsafe));
        }
    }
}
