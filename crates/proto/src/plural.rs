//! Counts with a singular or plural noun.

use std::fmt;

/// Returns a count followed by `one` or `many`: `1 line`, `2 lines`, `0 lines`.
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
    fn plural_only_one_takes_singular() {
        assert_eq!(plural(0_usize, "line", "lines"), "0 lines");
        assert_eq!(plural(1_u64, "line was", "lines were"), "1 line was");
        assert_eq!(plural(12_u32, "line was", "lines were"), "12 lines were");
    }
}
