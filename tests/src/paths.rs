//! Returns the paths of the workspace, the fixtures and the shipped files.

use std::path::{Path, PathBuf};

/// The root of the workspace, where the README's commands are run.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .canonicalize()
        .expect("the root is there")
}

/// Returns the directory of the files that most tests start both binaries with. It holds no `config`
/// directory, so both take their defaults there.
pub fn fixtures() -> PathBuf {
    root().join("tests/fixtures")
}

/// Returns the path of a fixture.
pub fn fixture(name: &str) -> PathBuf {
    fixtures().join(name)
}

/// A file of the shipped configuration. Only tests about the shipped files use it: users edit them.
pub fn shipped(name: &str) -> PathBuf {
    root().join("config").join(name)
}
