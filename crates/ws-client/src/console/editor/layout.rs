//! Where a prompt and the text behind it stand on the screen.

use unicode_segmentation::UnicodeSegmentation as _;
use unicode_width::UnicodeWidthStr as _;

/// On which row the cursor stands, counted from the row on which the prompt begins.
///
/// The text is walked a grapheme at a time, as a terminal draws it: a wide one that does not fit
/// goes to the next row whole, so that a division of the width by the columns would be wrong. A
/// cursor behind a full row stands on the next one, where the line editor puts it.
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

/// What erases everything from the beginning of the prompt, when the cursor stands on this row of
/// it.
pub(crate) fn erase(cursor_row: u16) -> String {
    match cursor_row {
        // Going up by no row would go up by one.
        0 => "\r\x1b[J".to_owned(),
        rows => format!("\r\x1b[{rows}A\x1b[J"),
    }
}

#[cfg(test)]
mod tests {
    use super::{cursor_row, erase};

    #[test]
    fn counts_rows_as_a_terminal_fills_them() {
        for (text, columns, row) in [
            ("", 10, 0),
            ("1234567", 10, 0),
            // The row is full: the cursor stands on the next one.
            ("12345678", 10, 1),
            ("123456789", 10, 1),
            ("123456781234567890", 10, 2),
            // Eight columns are left behind the prompt: four wide characters fill them.
            ("你好你好", 10, 1),
            // A wide character does not fit into the last column, which stays empty.
            ("1你好你好", 10, 1),
            ("1你好你你好你好你", 10, 2),
            ("a\nb", 10, 1),
            ("12345678\nb", 10, 1),
            // A letter and a combining mark are one column.
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
    fn erases_from_the_first_row_down() {
        assert_eq!(erase(0), "\r\x1b[J");
        assert_eq!(erase(3), "\r\x1b[3A\x1b[J");
    }
}
