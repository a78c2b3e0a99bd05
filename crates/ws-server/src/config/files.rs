//! The reading of files: regular files only, up to a bound.

use std::{
    fs::{self, Metadata},
    io,
    path::Path,
};

use proto::{credentials::Accounts, text::decode};
use zeroize::Zeroizing;

use crate::config::error::ConfigError;

/// The greatest length of a file that is read: room for hundreds of thousands of accounts. A large file
/// named by mistake must not exhaust the memory of a running server.
pub(super) const MAX_FILE_BYTES: u64 = 64 * 1024 * 1024;

/// Reads the accounts.
///
/// # Errors
///
/// One message that names the file, the line and the key, and repeats no password.
pub fn load_accounts(path: &Path) -> Result<Accounts, ConfigError> {
    let source = Zeroizing::new(read(path)?);
    Accounts::from_toml(&source).map_err(|problem| ConfigError::content(path, problem))
}

/// Reads a text file in UTF-8, without a leading byte order mark.
pub(super) fn read(path: &Path) -> Result<String, ConfigError> {
    let bytes = examine(path).and_then(|_| fs::read(path));
    let bytes = bytes.map_err(|error| ConfigError::read(path, error))?;
    decode(bytes).map_err(|problem| ConfigError::content(path, problem))
}

/// Returns the metadata of a file, if it may be read. Pipes and devices are refused: a reload could
/// wait for their end forever.
///
/// # Errors
///
/// The path does not exist, is no regular file, or is longer than [`MAX_FILE_BYTES`].
pub(super) fn examine(path: &Path) -> io::Result<Metadata> {
    let file = fs::metadata(path)?;
    match file.len() {
        _ if !file.is_file() => Err(io::Error::other("it is not a file")),
        ..=MAX_FILE_BYTES => Ok(file),
        _ => Err(io::Error::other("it has more than 64 MiB")),
    }
}
