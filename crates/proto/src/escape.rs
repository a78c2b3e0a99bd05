//! Escaping of untrusted text for logs and terminals.
//!
//! A terminal interprets control characters, and bidirectional controls can disguise a line. Both
//! are written as `\u{..}` wherever a peer's text reaches a log or a terminal.

use std::fmt;

/// Returns true for a character that could change the display of a text: control characters (C0,
/// DEL, C1), line and paragraph separators, and bidirectional controls.
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

/// A wrapper that displays a text on one line, with each unsafe character as `\r`, `\n`, `\t` or
/// `\u{..}`.
#[derive(Debug, Clone, Copy)]
pub struct Escaped<'a>(pub &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| write_escaped(c, f))
    }
}

/// Escapes the first `max_chars` characters of a text, followed by `...` if the text is longer.
pub fn escaped_start(text: &str, max_chars: usize) -> String {
    match text.char_indices().nth(max_chars) {
        Some((end, _)) => format!("{}...", Escaped(&text[..end])),
        None => Escaped(text).to_string(),
    }
}

/// Writes one character as [`Escaped`] displays it.
///
/// # Errors
///
/// An error of the writer.
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
    fn long_text_truncated_and_marked() {
        for (text, shown) in [
            ("", ""),
            ("\u{1b}äb", "\\u{1b}äb"),
            ("\u{1b}äbc", "\\u{1b}äb..."),
        ] {
            assert_eq!(escaped_start(text, 3), shown);
        }
    }

    #[test]
    fn control_and_bidi_characters_escaped() {
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
        fn escaped_text_has_no_unsafe_character(text in any::<String>()) {
            prop_assert!(!Escaped(&text).to_string().chars().any(is_unsafe));
        }
    }
}
