//! The layers of the crate, as the table in `lib.rs` orders them.

use layers::Check;

#[test]
fn files_import_only_lower_layers() {
    // A service imports only `session` and `service`.
    let check = Check::new(env!("CARGO_MANIFEST_DIR")).only("service", &["session"]);
    if let Err(violations) = check.run() {
        panic!("\n{violations}");
    }
}
