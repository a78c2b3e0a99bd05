//! Checks of the attack tables.

use std::collections::HashSet;

use integration_tests::attacks::{Attack, frames, requests};

#[test]
fn request_table_has_40_distinct_rows() {
    assert_distinct(requests::ALL, 40);
}

#[test]
fn frame_table_has_40_distinct_rows() {
    assert_distinct(frames::ALL, 40);
}

/// Asserts that names and bytes of the rows are distinct, and that the table has at least this
/// number of rows.
#[track_caller]
fn assert_distinct<E>(table: &[Attack<E>], at_least: usize) {
    let names: HashSet<_> = table.iter().map(|row| row.name).collect();
    let bytes: HashSet<_> = table.iter().map(|row| (row.bytes)()).collect();
    assert_eq!((names.len(), bytes.len()), (table.len(), table.len()));
    assert!(table.len() >= at_least, "{} rows", table.len());
    for row in table {
        assert!(row.section.starts_with("RFC "), "{}", row.name);
    }
}
