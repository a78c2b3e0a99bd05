//! Paths of the workspace, the fixtures and the shipped files.

use std::path::{Path, PathBuf};

/// Returns the root of the workspace.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .canonicalize()
        .expect("the root exists")
}

/// Returns the directory of the fixtures. It has no `config` directory, so both programs use their
/// defaults there.
pub fn fixtures() -> PathBuf {
    root().join("tests/fixtures")
}

/// Returns the path of a fixture.
pub fn fixture(name: &str) -> PathBuf {
    fixtures().join(name)
}

/// Returns the path of a shipped configuration file. Only tests of the shipped files use it: users
/// edit them.
pub fn shipped(name: &str) -> PathBuf {
    root().join("config").join(name)
}
