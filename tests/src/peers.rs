//! Where `.ci/peers` puts what others wrote.

use std::path::PathBuf;

use crate::root;

/// A file that `.ci/peers` installs, by its path below `target/peers`.
pub fn peer(path: &str) -> PathBuf {
    let file = root().join("target/peers").join(path);
    assert!(
        file.exists(),
        "{} is missing: run .ci/peers first",
        file.display()
    );
    file
}
