//! The files that are read: bounded, and regular ones only.

use std::{
    fs::{self, Metadata},
    io,
    path::Path,
};

use proto::credentials::Accounts;
use zeroize::Zeroizing;

use crate::config::error::ConfigError;

/// The greatest length of a file that is read: room for hundreds of thousands of accounts. Some other
/// file that was named by mistake is not to take the memory of a server that runs.
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

/// Reads a text file.
pub(super) fn read(path: &Path) -> Result<String, ConfigError> {
    let text = examine(path).and_then(|_| fs::read_to_string(path));
    text.map_err(|error| ConfigError::read(path, error))
}

/// Returns the metadata of a file that is to be read, if it can be. A pipe or a device cannot: a
/// running server could wait for ever for the end of what it reads again.
pub(super) fn examine(path: &Path) -> io::Result<Metadata> {
    let file = fs::metadata(path)?;
    match file.len() {
        _ if !file.is_file() => Err(io::Error::other("it is not a file")),
        ..=MAX_FILE_BYTES => Ok(file),
        _ => Err(io::Error::other("it has more than 64 MiB")),
    }
}
