//! Programs that `.ci/peers` and `.ci/operator` install.

use std::path::PathBuf;

use crate::root;

/// Returns the path of an installed file, given relative to `target/peers`.
pub fn peer_program(path: &str) -> PathBuf {
    let file = root().join("target/peers").join(path);
    assert!(
        file.exists(),
        "{} is missing: run .ci/peers and .ci/operator first",
        file.display()
    );
    file
}
