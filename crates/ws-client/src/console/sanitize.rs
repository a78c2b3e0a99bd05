//! Texts and bytes of a server, made safe for a terminal.

use std::fmt::Write as _;

use proto::{
    escape::{is_unsafe, write_escaped},
    plural::plural,
};

/// How much of a binary message a person is shown.
const SHOWN_BYTES: usize = 256;

/// How many bytes stand on one line of hexadecimal digits.
const BYTES_A_LINE: usize = 16;

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
    let mut shown = format!("[binary, {}]", plural(bytes.len(), "byte", "bytes"));
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
    use proptest::prelude::*;
    use proto::escape::is_unsafe;

    use super::safe_lines;

    proptest! {
        #[test]
        fn nothing_but_line_feeds_is_left_to_obey(text in any::<String>()) {
            prop_assert!(!safe_lines(&text).chars().any(|c| c != '\n' && is_unsafe(c)));
        }
    }
}
