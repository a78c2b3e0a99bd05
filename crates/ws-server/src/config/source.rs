//! Where the configuration comes from, at the start and at each reload.

use std::{
    fs::{self, Metadata},
    net::SocketAddr,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use proto::credentials::Accounts;

use super::{Config, ConfigError, load_accounts};

/// The configuration's file, and what goes before what it says.
#[derive(Debug, Clone)]
pub struct Source {
    /// The file.
    pub path: PathBuf,
    /// Where to listen, instead of where the file says.
    pub listen: Option<SocketAddr>,
}

/// What the files said when they were read.
#[derive(Debug)]
pub struct Loaded {
    /// What the server runs on.
    pub config: Config,
    /// Who may log in.
    pub accounts: Accounts,
    /// The files as they were just before they were read.
    pub(crate) stamps: Stamps,
}

/// By what a changed file is known without reading it: the two files, as far as there are any.
pub(crate) type Stamps = [Option<Stamp>; 2];

/// What the system says of a file. Whoever writes to it, or puts another in its place, changes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    inode: (u64, u64),
    size: u64,
    modified: (i64, i64),
    /// Moves on even where a tool sets the time of the modification back.
    changed: (i64, i64),
}

impl Source {
    /// Reads the configuration, and the accounts that it names.
    ///
    /// # Errors
    ///
    /// One message that names the file, the line and the key, and repeats no password.
    pub fn load(&self) -> Result<Loaded, ConfigError> {
        let config_stamp = Stamp::of(&self.path);
        let mut config = Config::load(&self.path)?;
        if let Some(listen) = self.listen {
            config.listen = listen;
        }
        let accounts_stamp = Stamp::of(&config.credentials);
        let accounts = load_accounts(&config.credentials)?;
        Ok(Loaded {
            config,
            accounts,
            stamps: [config_stamp, accounts_stamp],
        })
    }

    /// The files as they are now, where these are the accounts.
    pub(crate) fn stamps(&self, credentials: &Path) -> Stamps {
        [Stamp::of(&self.path), Stamp::of(credentials)]
    }
}

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        fs::metadata(path).ok().as_ref().map(Self::from)
    }
}

impl From<&Metadata> for Stamp {
    fn from(file: &Metadata) -> Self {
        Self {
            inode: (file.dev(), file.ino()),
            size: file.size(),
            modified: (file.mtime(), file.mtime_nsec()),
            changed: (file.ctime(), file.ctime_nsec()),
        }
    }
}
