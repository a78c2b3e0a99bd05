//! The layers of the crate, as the table in `lib.rs` orders them.

use layers::Check;

#[test]
fn files_import_only_lower_layers() {
    if let Err(violations) = Check::new(env!("CARGO_MANIFEST_DIR")).run() {
        panic!("\n{violations}");
    }
}
