//! Escaping of server data for a terminal.

use std::fmt::Write as _;

use proto::{
    escape::{is_unsafe, write_escaped},
    plural::plural,
};

/// The greatest number of bytes of a binary message that are shown.
const MAX_SHOWN_BYTES: usize = 256;

/// The number of bytes per line of hexadecimal digits.
const BYTES_PER_LINE: usize = 16;

/// Escapes a text of the server for a terminal. Line breaks are kept. Characters that move the
/// cursor or reorder the line are escaped.
pub(crate) fn safe_lines(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        if c == '\n' {
            safe.push('\n');
        } else if c == '\r' && rest.peek() == Some(&'\n') {
            // The following line feed breaks the line.
        } else if is_unsafe(c) {
            write_escaped(c, &mut safe).expect("writing to a string cannot fail");
        } else {
            safe.push(c);
        }
    }
    safe
}

/// Renders a binary message for a terminal: its length, and its first bytes in hexadecimal.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    let mut shown = format!("[binary, {}]", plural(bytes.len(), "byte", "bytes"));
    for line in bytes[..bytes.len().min(MAX_SHOWN_BYTES)].chunks(BYTES_PER_LINE) {
        shown.push('\n');
        for (index, byte) in line.iter().enumerate() {
            let gap = if index == 0 { "" } else { " " };
            write!(shown, "{gap}{byte:02x}").expect("writing to a string cannot fail");
        }
    }
    if bytes.len() > MAX_SHOWN_BYTES {
        let hidden = bytes.len() - MAX_SHOWN_BYTES;
        write!(shown, "\n[{hidden} more not shown]").expect("writing to a string cannot fail");
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
        fn any_text_keeps_no_control_except_line_feeds(text in any::<String>()) {
            prop_assert!(!safe_lines(&text).chars().any(|c| c != '\n' && is_unsafe(c)));
        }
    }
}
