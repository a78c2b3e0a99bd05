//! The files that hold secrets.

use std::{
    fmt, fs,
    io::{self, Read as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use proto::{
    credentials::WorldAccessible,
    escape::Escaped,
    text::{EncodingError, decode},
};
use zeroize::Zeroizing;

/// A file that holds secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretFile {
    /// The file of `--password-file`.
    Password,
    /// The file of `--bearer-file`.
    Bearer,
    /// A file of `--header`.
    Header,
}

impl fmt::Display for SecretFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Password => "the password file",
            Self::Bearer => "the bearer file",
            Self::Header => "the header file",
        })
    }
}

impl SecretFile {
    /// Reads the text of the file. A file that everybody may read adds a warning to the notices.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or is not UTF-8.
    pub(super) fn read(
        self,
        path: &Path,
        notices: &mut Vec<String>,
    ) -> Result<Zeroizing<String>, SecretFileError> {
        let (bytes, mode) = read_with_mode(path).map_err(|source| SecretFileError::Read {
            file: self,
            path: path.to_owned(),
            source,
        })?;
        if let Some(flaw) = WorldAccessible::of(path, mode) {
            notices.push(format!("warning: {}", Escaped(&flaw.to_string())));
        }
        decode(bytes)
            .map(Zeroizing::new)
            .map_err(|problem| SecretFileError::Encoding {
                file: self,
                path: path.to_owned(),
                problem,
            })
    }
}

/// The reason why a file with secrets cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SecretFileError {
    /// The file cannot be read.
    #[error("{file} {} cannot be read", path.display())]
    Read {
        /// The kind of the file.
        file: SecretFile,
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The file is not UTF-8.
    #[error("{file} {}: {problem}", path.display())]
    Encoding {
        /// The kind of the file.
        file: SecretFile,
        /// The file.
        path: PathBuf,
        /// The line, and what to do.
        problem: EncodingError,
    },
}

/// Reads a file, and returns its Unix mode with it.
///
/// # Errors
///
/// The file cannot be read.
fn read_with_mode(path: &Path) -> io::Result<(Vec<u8>, u32)> {
    let mut file = fs::File::open(path)?;
    let mode = file.metadata()?.permissions().mode();
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok((bytes, mode))
}
