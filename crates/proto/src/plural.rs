//! Counts in words.

use std::fmt;

/// Returns a count and the word for it: `1 line`, `2 lines`. A count of 0 takes `many`.
pub fn plural<N: fmt::Display + Copy + PartialEq + From<u8>>(
    count: N,
    one: &str,
    many: &str,
) -> String {
    let word = if count == N::from(1) { one } else { many };
    format!("{count} {word}")
}

#[cfg(test)]
mod tests {
    use super::plural;

    #[test]
    fn one_is_singular_and_the_rest_is_plural() {
        assert_eq!(plural(0_usize, "line", "lines"), "0 lines");
        assert_eq!(plural(1_u64, "line was", "lines were"), "1 line was");
        assert_eq!(plural(12_u32, "line was", "lines were"), "12 lines were");
    }
}
