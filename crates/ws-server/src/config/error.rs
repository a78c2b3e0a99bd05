//! Why a configuration cannot be used.

use std::{
    io,
    path::{Path, PathBuf},
};

use proto::config::TomlError;

/// What is wrong with which file.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The file does not say what it must.
    #[error("{}: {problem}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong, where, and what to write.
        problem: TomlError,
    },
}

impl ConfigError {
    pub(super) fn read(path: &Path, source: io::Error) -> Self {
        Self::Read {
            path: path.to_owned(),
            source,
        }
    }

    pub(super) fn content(path: &Path, problem: TomlError) -> Self {
        Self::Content {
            path: path.to_owned(),
            problem,
        }
    }
}
