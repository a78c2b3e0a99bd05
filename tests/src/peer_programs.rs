//! Where `.ci/peers` and `.ci/operator` put what others wrote.

use std::path::PathBuf;

use crate::root;

/// A file that one of them installs, by its path below `target/peers`.
pub fn peer_program(path: &str) -> PathBuf {
    let file = root().join("target/peers").join(path);
    assert!(
        file.exists(),
        "{} is missing: run .ci/peers and .ci/operator first",
        file.display()
    );
    file
}
