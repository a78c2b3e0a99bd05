//! The position of a prompt and its input on the screen.

use proto::plural::plural;
use unicode_segmentation::UnicodeSegmentation as _;
use unicode_width::UnicodeWidthStr as _;

/// Returns the row of the cursor, counted from the first row of the prompt.
///
/// The text is measured by graphemes, as a terminal draws it. A wide grapheme that does not fit
/// moves to the next row whole, so dividing the width by the columns would be wrong. After text
/// that fills a row, the cursor is at the start of the next row, where the line editor puts it.
pub(crate) fn cursor_row(prompt: &str, before_cursor: &str, columns: u16) -> u16 {
    let columns = usize::from(columns.max(1));
    let (mut row, mut column) = (0_u16, 0_usize);
    let graphemes = prompt.graphemes(true).chain(before_cursor.graphemes(true));
    for grapheme in graphemes {
        if matches!(grapheme, "\n" | "\r\n") {
            row = row.saturating_add(1);
            column = 0;
            continue;
        }
        let width = grapheme.width();
        if column >= columns || (column > 0 && column + width > columns) {
            row = row.saturating_add(1);
            column = 0;
        }
        column += width;
    }
    if column >= columns {
        row = row.saturating_add(1);
    }
    row
}

/// A draft as it is shown.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Folded {
    /// The whole text.
    Whole(String),
    /// A summary in place of the text. It is ASCII, so that it can be cut at any byte offset.
    Summary(String),
}

impl Folded {
    /// Returns the part that is shown before the cursor.
    pub(super) fn before_cursor(&self, cursor: usize) -> &str {
        match self {
            Self::Whole(text) | Self::Summary(text) => text.get(..cursor).unwrap_or(text),
        }
    }

    /// Returns the shown text.
    pub(super) fn into_text(self) -> String {
        match self {
            Self::Whole(text) | Self::Summary(text) => text,
        }
    }
}

/// Folds a draft that takes more than half of the screen. The line editor would clear the whole
/// screen for it, and with it the messages that were printed above.
pub(super) fn folded(prompt: &str, text: String, columns: u16, rows: u16) -> Folded {
    let height = cursor_row(prompt, &text, columns).saturating_add(1);
    if height <= (rows / 2).max(1) || text.is_empty() {
        return Folded::Whole(text);
    }
    let lines = plural(text.split('\n').count(), "line", "lines");
    Folded::Summary(format!("[{lines}, {} bytes]", text.len()))
}

/// Returns the sequence that erases everything from the first row of the prompt, for a cursor on
/// this row.
pub(crate) fn erase(cursor_row: u16) -> String {
    match cursor_row {
        // A parameter of 0 would move up by one row.
        0 => "\r\x1b[J".to_owned(),
        rows => format!("\r\x1b[{rows}A\x1b[J"),
    }
}

#[cfg(test)]
mod tests {
    use super::{Folded, cursor_row, erase, folded};

    #[test]
    fn draft_over_half_the_screen_is_folded() {
        let whole = |text: &str| Folded::Whole(text.to_owned());
        let summary = |text: &str| Folded::Summary(text.to_owned());
        for (text, rows, shown) in [
            ("", 24, whole("")),
            ("a\nb\nc", 6, whole("a\nb\nc")),
            ("a\nb\nc\nd", 6, summary("[4 lines, 7 bytes]")),
            ("a\nb\nc\nd", 8, whole("a\nb\nc\nd")),
            (&"ü".repeat(40), 6, summary("[1 line, 80 bytes]")),
            ("a\nb", 1, summary("[2 lines, 3 bytes]")),
            ("", 1, whole("")),
        ] {
            assert_eq!(folded("> ", text.to_owned(), 10, rows), shown, "{text:?}");
        }
        let shown = summary("[4 lines, 7 bytes]");
        assert_eq!(shown.before_cursor(3), "[4 ");
        assert_eq!(shown.before_cursor(100), "[4 lines, 7 bytes]");
    }

    #[test]
    fn rows_are_counted_as_a_terminal_fills_them() {
        for (text, columns, row) in [
            ("", 10, 0),
            ("1234567", 10, 0),
            // The text fills the row, so the cursor is on the next one.
            ("12345678", 10, 1),
            ("123456789", 10, 1),
            ("123456781234567890", 10, 2),
            // Four wide characters fill the eight columns after the prompt.
            ("你好你好", 10, 1),
            // A wide character does not fit into the last column, which stays empty.
            ("1你好你好", 10, 1),
            ("1你好你你好你好你", 10, 2),
            ("a\nb", 10, 1),
            ("12345678\nb", 10, 1),
            // A letter and a combining mark take one column.
            ("e\u{301}234567", 10, 0),
            ("abc", 1, 5),
            ("abc", 0, 5),
        ] {
            assert_eq!(
                cursor_row("> ", text, columns),
                row,
                "{text:?} in {columns}"
            );
        }
    }

    #[test]
    fn erase_starts_at_the_first_row() {
        assert_eq!(erase(0), "\r\x1b[J");
        assert_eq!(erase(3), "\r\x1b[3A\x1b[J");
    }
}
