//! Folding of messages into rows, before the terminal wraps them.

use unicode_segmentation::UnicodeSegmentation as _;
use unicode_width::UnicodeWidthChar as _;

/// The variation selector for emoji: it has no width, and doubles the width of the character before
/// it.
const EMOJI_PRESENTATION: char = '\u{fe0f}';

/// Folds words into rows of this many columns, all but the first indented. If the terminal wrapped
/// the row, a text of the right length could look like a new message. On a screen of fewer columns
/// than twice the indent, only line breaks begin a row.
///
/// The width is the sum of the characters' widths. It may exceed the real width, so the terminal
/// never wraps a row itself.
pub(super) fn folded(words: &str, columns: usize, indent: &str) -> String {
    let mut rows = String::with_capacity(words.len());
    let mut column = 0;
    for c in words.chars() {
        let width = width(c);
        let is_full = columns >= 2 * indent.len() && column + width > columns;
        if c == '\n' || is_full {
            rows.push('\n');
            rows.push_str(indent);
            column = indent.len();
        }
        if c != '\n' {
            rows.push(c);
            column += width;
        }
    }
    rows
}

/// Returns the greatest number of columns that a character may take. Only a combining mark takes
/// none: terminals draw other characters without width, such as U+00AD and U+3164, as a space.
fn width(c: char) -> usize {
    match c {
        EMOJI_PRESENTATION => 1,
        _ => match c.width() {
            Some(0) | None if is_combining_mark(c) => 0,
            Some(0) | None => 1,
            Some(width) => width,
        },
    }
}

/// Returns true for a combining mark (general categories Mn and Me): a character that extends a
/// grapheme cluster, without the joiners and tags, which extend one too.
fn is_combining_mark(c: char) -> bool {
    let is_format = matches!(c, '\u{200c}' | '\u{200d}' | '\u{e0020}'..='\u{e007f}');
    !is_format
        && ["a", c.encode_utf8(&mut [0; 4])]
            .concat()
            .graphemes(true)
            .count()
            == 1
}

#[cfg(test)]
mod tests {
    use super::{folded, width};

    #[test]
    fn only_combining_marks_take_no_column() {
        for (c, columns) in [
            ('a', 1),
            ('你', 2),
            ('\u{301}', 0),
            ('\u{20dd}', 0),
            ('\u{fe0e}', 0),
            ('\u{fe0f}', 1),
            ('\u{ad}', 1),
            ('\u{200b}', 1),
            ('\u{200d}', 1),
            ('\u{3164}', 2),
            ('\u{ffa0}', 1),
            ('\u{a8fa}', 1),
            ('\u{1160}', 1),
            ('\u{e0041}', 1),
        ] {
            assert!(width(c) >= columns.min(1), "{c:?}");
            assert_eq!(width(c) == 0, columns == 0, "{c:?}");
        }
    }

    #[test]
    fn rows_but_the_first_are_indented() {
        assert_eq!(folded("abcdefgh\ni", 6, "  "), "abcdef\n  gh\n  i");
        assert_eq!(folded("abcdefgh\ni", 3, "  "), "abcdefgh\n  i");
    }
}
