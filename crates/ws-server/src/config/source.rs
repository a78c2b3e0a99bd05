//! Where the configuration comes from, at the start and at each reload.

use std::{
    fs::{self, Metadata},
    net::SocketAddr,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use proto::{credentials::Accounts, username::UserName};

use super::{Config, ConfigError, LogFormat, load_accounts};
use crate::route::Pattern;

/// The configuration's file, and what goes before what it says.
#[derive(Debug, Clone)]
pub struct Source {
    /// The file.
    pub path: PathBuf,
    /// Where to listen, instead of where the file says.
    pub listen: Option<SocketAddr>,
    /// What the lines of the log look like, instead of what the file says.
    pub log_format: Option<LogFormat>,
}

/// What the files said when they were read.
#[derive(Debug)]
pub struct Loaded {
    /// What the server runs on.
    pub config: Config,
    /// Who may log in.
    pub accounts: Accounts,
    /// The files as they were just before they were read.
    pub(crate) files: Files,
}

/// A route names a user who has no account.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the route `{route}` names the user `{user}`, who has no account in {}", credentials.display())]
pub(crate) struct StrangerError {
    route: Pattern,
    user: UserName,
    credentials: PathBuf,
}

/// The first user of a route who has no account, if there is one.
///
/// At the start that is a mistake. Later it is not: whoever takes an account away wants its sessions
/// to end now, and not when the routes are tidied up.
pub(crate) fn stranger(config: &Config, accounts: &Accounts) -> Option<StrangerError> {
    let mut routes = config.rules.routes.iter();
    routes.find_map(|route| {
        let user = route.access.users().find(|user| !accounts.has(user))?;
        Some(StrangerError {
            route: route.pattern.clone(),
            user: user.clone(),
            credentials: config.credentials.clone(),
        })
    })
}

/// Both files, by what a change is known without reading them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Files {
    config: Option<Stamp>,
    /// Which file of accounts the configuration names, as far as that is known.
    pub(crate) credentials: PathBuf,
    accounts: Option<Stamp>,
}

/// What the system says of a file. Whoever writes to it, or puts another in its place, changes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
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
        let (files, read) = self.reload(Path::new(""));
        let (config, accounts) = read?;
        Ok(Loaded {
            config,
            accounts,
            files,
        })
    }

    /// Like [`Source::load`], where this was the file of the accounts until now. What was read comes
    /// with the files as they were just before, whether or not they can be used: what has to be
    /// mended is one of them, even if it is a file of accounts that was never used.
    pub(crate) fn reload(
        &self,
        credentials: &Path,
    ) -> (Files, Result<(Config, Accounts), ConfigError>) {
        let mut files = self.look(credentials);
        let read = self.read(&mut files);
        (files, read)
    }

    /// The files as they are now, where this is the one of the accounts.
    pub(crate) fn look(&self, credentials: &Path) -> Files {
        Files {
            config: Stamp::of(&self.path),
            credentials: credentials.to_owned(),
            accounts: Stamp::of(credentials),
        }
    }

    fn read(&self, files: &mut Files) -> Result<(Config, Accounts), ConfigError> {
        let mut config = Config::load(&self.path)?;
        if let Some(listen) = self.listen {
            config.listen = listen;
        }
        if let Some(log_format) = self.log_format {
            config.log_format = log_format;
        }
        files.credentials.clone_from(&config.credentials);
        files.accounts = Stamp::of(&config.credentials);
        let accounts = load_accounts(&config.credentials)?;
        Ok((config, accounts))
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

#[cfg(test)]
mod tests {
    use std::{
        fs,
        path::{Path, PathBuf},
    };

    use tempfile::{TempDir, tempdir};

    use super::{Files, Source};

    const ADMIN: &str = "[[user]]\nname = \"admin\"\npassword = \"123456\"";

    /// A directory with a configuration that names a file of accounts, and where both are.
    fn directory(credentials: &str) -> (TempDir, Source, PathBuf) {
        let directory = tempdir().unwrap();
        let path = directory.path().join("server.toml");
        fs::write(&path, format!("credentials = \"{credentials}\"")).unwrap();
        let accounts = directory.path().join(credentials);
        let source = Source {
            path,
            listen: None,
            log_format: None,
        };
        (directory, source, accounts)
    }

    /// What has to be looked at after files could not be used.
    fn unusable(source: &Source, credentials: &Path) -> Files {
        let (files, read) = source.reload(credentials);
        read.unwrap_err();
        files
    }

    #[test]
    fn what_was_read_is_what_is_seen_until_a_file_changes() {
        let (_directory, source, accounts) = directory("users.toml");
        fs::write(&accounts, ADMIN).unwrap();
        let files = source.load().unwrap().files;
        assert_eq!(files.credentials, accounts);
        assert_eq!(source.look(&accounts), files);

        // A file of the same size in its place.
        let other = accounts.with_extension("other");
        fs::write(&other, ADMIN.replace('6', "7")).unwrap();
        fs::rename(&other, &accounts).unwrap();
        let replaced = source.look(&accounts);
        assert_ne!(replaced, files);
        fs::write(&source.path, "credentials = \"users.toml\" # the same").unwrap();
        assert_ne!(source.look(&accounts), replaced);
        fs::remove_file(&accounts).unwrap();
        assert_ne!(source.look(&accounts), replaced);
    }

    #[test]
    fn a_file_of_accounts_that_must_be_mended_is_looked_at_though_it_was_never_used() {
        let (directory, source, accounts) = directory("new.toml");
        let before = directory.path().join("old.toml");
        let files = unusable(&source, &before);
        assert_eq!(files.credentials, accounts);
        assert_eq!(source.look(&accounts), files, "it is said once");
        fs::write(&accounts, "a mistake").unwrap();
        assert_ne!(source.look(&accounts), files);
        let files = unusable(&source, &accounts);
        assert_eq!(source.look(&accounts), files, "it is said once");
        fs::write(&accounts, ADMIN).unwrap();
        assert_ne!(source.look(&accounts), files);
        assert_eq!(source.load().unwrap().accounts.users().len(), 1);
    }

    #[test]
    fn where_to_listen_may_be_said_before_the_file_says_it() {
        let (_directory, source, accounts) = directory("users.toml");
        fs::write(&accounts, ADMIN).unwrap();
        let listen = ([127, 0, 0, 1], 1).into();
        let source = Source {
            listen: Some(listen),
            ..source
        };
        assert_eq!(source.load().unwrap().config.listen, listen);
    }

    #[test]
    fn a_configuration_that_cannot_be_read_names_no_other_file_of_accounts() {
        let (_directory, source, accounts) = directory("users.toml");
        fs::write(&accounts, ADMIN).unwrap();
        fs::write(&source.path, "credentials = ").unwrap();
        assert_eq!(unusable(&source, &accounts), source.look(&accounts));
    }
}
