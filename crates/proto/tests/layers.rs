//! The layers of the crate, as the table in `lib.rs` orders them.

use layers::Check;

#[test]
fn files_import_only_what_is_below_them() {
    match Check::new(env!("CARGO_MANIFEST_DIR")).run() {
        Ok(report) => assert_eq!(report.largest_circle, 0),
        Err(violations) => panic!("\n{violations}"),
    }
}
