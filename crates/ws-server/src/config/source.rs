//! The source of the configuration, at the start and at each reload.

use std::{
    fs,
    net::SocketAddr,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::SystemTime,
};

use proto::{
    credentials::{Accounts, WorldAccessible},
    username::UserName,
};

use crate::{
    access::PathPattern,
    config::{
        config::Config,
        error::ConfigError,
        exposure,
        files::{self, load_accounts, world_accessible},
    },
    log::LogFormat,
    tls::Tls,
};

/// The path of the configuration, if `--config` names no other.
pub const DEFAULT_PATH: &str = "config/server.toml";

/// The configuration file, and the command-line values that override it.
#[derive(Debug, Clone)]
pub struct ConfigSource {
    /// The file.
    pub path: PathBuf,
    /// The address to listen on, instead of the one in the file.
    pub listen: Option<SocketAddr>,
    /// The format of a log line, instead of the one in the file.
    pub log_format: Option<LogFormat>,
    /// The file of the accounts, instead of the one named in the file.
    pub credentials: Option<PathBuf>,
}

/// The configuration and the contents of the files that it names.
#[derive(Debug)]
pub struct LoadedConfig {
    /// The configuration, with the command-line values that override it.
    pub config: Config,
    /// The accounts.
    pub accounts: Accounts,
    /// The certificate and key, if connections are encrypted.
    pub tls: Option<Tls>,
    /// The flaw of the credentials file, if everybody may read or write it.
    pub(crate) world_accessible: Option<WorldAccessible>,
}

/// A route whose user has no account.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the route `{route}` names the user `{user}`, who has no account in {}", credentials.display())]
pub(crate) struct UnknownRouteUserError {
    route: PathPattern,
    user: UserName,
    credentials: PathBuf,
}

/// Returns the first user of a route who has no account, if there is one.
///
/// This is an error at the start only. At a reload, removing an account must end its sessions even if
/// a route still names its user.
pub(crate) fn undefined_route_user(
    config: &Config,
    accounts: &Accounts,
) -> Option<UnknownRouteUserError> {
    let mut routes = config.routes.iter();
    routes.find_map(|route| {
        let user = route.access.users().find(|user| !accounts.has(user))?;
        Some(UnknownRouteUserError {
            route: PathPattern::clone(&route.pattern),
            user: user.clone(),
            credentials: config.credentials.clone(),
        })
    })
}

/// The stamps of all files, by which a change is detected without reading them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WatchedFiles {
    config: Option<FileStamp>,
    /// The files that the configuration names, or named when it could last be read.
    named: Vec<(PathBuf, Option<FileStamp>)>,
}

impl WatchedFiles {
    /// Returns the paths of the files that the configuration names.
    pub(crate) fn named(&self) -> Vec<PathBuf> {
        self.named.iter().map(|(path, _)| path.clone()).collect()
    }

    /// Returns true if a named file was written in place since these earlier stamps. A file that was
    /// written beside it and renamed is another inode, and complete.
    pub(crate) fn is_written_in_place(&self, path: &Path, earlier: &Self) -> bool {
        let stamp = |files: &Self| {
            let mut named = files.named.iter();
            named.find_map(|(named, stamp)| stamp.filter(|_| named == path))
        };
        match (stamp(earlier), stamp(self)) {
            (Some(before), Some(now)) => {
                (before.inode, before.created) == (now.inode, now.created) && before != now
            }
            (None, _) | (_, None) => false,
        }
    }
}

/// The metadata of a file. Writing to the file or replacing it changes the stamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FileStamp {
    inode: (u64, u64),
    /// The birth time, if the file system has it. A file system uses the number of a removed inode again.
    created: Option<SystemTime>,
    size: u64,
    modified: (i64, i64),
    /// The time of the last status change. Tools that reset the modification time do not reset it.
    changed: (i64, i64),
}

impl Config {
    /// Reads the configuration.
    ///
    /// # Errors
    ///
    /// One message that names the file, the line and the key, and says what to write.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        ConfigSource::file(path).read_config()
    }
}

impl ConfigSource {
    /// Returns a source that overrides nothing in a file.
    pub(crate) fn file(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            listen: None,
            log_format: None,
            credentials: None,
        }
    }

    /// Reads the configuration and the files that it names. `named` are the files that it named before.
    ///
    /// Returns the stamps from just before the reading as well, even on an error: the file to be
    /// corrected is one of them.
    ///
    /// # Errors
    ///
    /// One message that names the file, the line and the key, and repeats no secret.
    pub(crate) fn load(
        &self,
        named: &[PathBuf],
    ) -> (WatchedFiles, Result<LoadedConfig, ConfigError>) {
        let mut files = self.poll_files(named);
        let read = self.read(&mut files);
        (files, read)
    }

    /// Returns the current stamps of the configuration and of the files that it names.
    pub(crate) fn poll_files(&self, named: &[PathBuf]) -> WatchedFiles {
        let named = named.iter().map(|path| (path.clone(), FileStamp::of(path)));
        WatchedFiles {
            config: FileStamp::of(&self.path),
            named: named.collect(),
        }
    }

    /// Checks the loaded accounts against the address that the running server listens on. The loaded
    /// address takes effect at the next start only.
    pub(crate) fn check_exposure(
        &self,
        listen: SocketAddr,
        loaded: &LoadedConfig,
    ) -> Result<(), ConfigError> {
        exposure::check_accounts(listen, &loaded.accounts)
            .map_err(|problem| ConfigError::content(&self.path, problem))
    }

    fn read_config(&self) -> Result<Config, ConfigError> {
        let source = files::read(&self.path)?;
        let directory = self.path.parent().unwrap_or(Path::new(""));
        let mut config = Config::parse(&source, directory)
            .map_err(|problem| ConfigError::content(&self.path, problem))?;
        config.listen = self.listen.unwrap_or(config.listen);
        config.log_format = self.log_format.unwrap_or(config.log_format);
        if let Some(credentials) = &self.credentials {
            config.credentials.clone_from(credentials);
        }
        Ok(config)
    }

    fn read(&self, files: &mut WatchedFiles) -> Result<LoadedConfig, ConfigError> {
        let mut config = self.read_config()?;
        files.named = self.poll_files(&config.named_files()).named;
        let accounts = load_accounts(&config.credentials)?;
        let tls = config.tls.load()?;
        config.read_upstream_files(&self.path)?;
        config.read_ticket_secrets()?;
        exposure::check(&config, &accounts)
            .map_err(|problem| ConfigError::content(&self.path, problem))?;
        Ok(LoadedConfig {
            world_accessible: world_accessible(&config.credentials),
            config,
            accounts,
            tls,
        })
    }
}

impl FileStamp {
    fn of(path: &Path) -> Option<Self> {
        let file = fs::metadata(path).ok()?;
        Some(Self {
            inode: (file.dev(), file.ino()),
            created: file.created().ok(),
            size: file.size(),
            modified: (file.mtime(), file.mtime_nsec()),
            changed: (file.ctime(), file.ctime_nsec()),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        path::{Path, PathBuf},
    };

    use tempfile::{TempDir, tempdir};

    use super::{ConfigSource, LoadedConfig, WatchedFiles};

    const ADMIN: &str = "[[user]]\nname = \"admin\"\npassword = \"123456\"";

    /// Returns a directory with a configuration, its source, and the path of the accounts it names.
    fn directory(credentials: &str) -> (TempDir, ConfigSource, PathBuf) {
        let directory = tempdir().unwrap();
        let path = directory.path().join("server.toml");
        fs::write(&path, format!("credentials = \"{credentials}\"")).unwrap();
        let accounts = directory.path().join(credentials);
        (directory, ConfigSource::file(&path), accounts)
    }

    /// Returns the stamps after a load that fails.
    fn unusable(source: &ConfigSource, credentials: &Path) -> WatchedFiles {
        let (files, read) = source.load(&[credentials.to_owned()]);
        read.unwrap_err();
        files
    }

    /// Returns the stamps and the content of files that can be used.
    fn usable(source: &ConfigSource) -> (WatchedFiles, LoadedConfig) {
        let (files, read) = source.load(&[]);
        (files, read.unwrap())
    }

    /// Returns the current stamps, where this is the file of the accounts.
    fn poll(source: &ConfigSource, credentials: &Path) -> WatchedFiles {
        source.poll_files(&[credentials.to_owned()])
    }

    #[test]
    fn stamps_stay_equal_until_a_file_changes() {
        let (_directory, source, accounts) = directory("users.toml");
        fs::write(&accounts, ADMIN).unwrap();
        let (files, _) = usable(&source);
        assert_eq!(files.named(), [&*accounts]);
        assert_eq!(poll(&source, &accounts), files);

        // Another file of the same size replaces it.
        let other = accounts.with_extension("other");
        fs::write(&other, ADMIN.replace('6', "7")).unwrap();
        fs::rename(&other, &accounts).unwrap();
        let replaced = poll(&source, &accounts);
        assert_ne!(replaced, files);
        fs::write(&source.path, "credentials = \"users.toml\" # the same").unwrap();
        assert_ne!(poll(&source, &accounts), replaced);
        fs::remove_file(&accounts).unwrap();
        assert_ne!(poll(&source, &accounts), replaced);
    }

    #[test]
    fn file_written_in_place_is_told_from_replaced_one() {
        let (_directory, source, accounts) = directory("users.toml");
        fs::write(&accounts, ADMIN).unwrap();
        let (before, _) = usable(&source);
        assert!(!poll(&source, &accounts).is_written_in_place(&accounts, &before));
        fs::write(&accounts, "").unwrap();
        assert!(poll(&source, &accounts).is_written_in_place(&accounts, &before));
        // The file system may use the number of the first inode again.
        for _ in 0..4 {
            let other = accounts.with_extension("other");
            fs::write(&other, ADMIN).unwrap();
            fs::rename(&other, &accounts).unwrap();
            assert!(!poll(&source, &accounts).is_written_in_place(&accounts, &before));
        }
    }

    #[test]
    fn unusable_accounts_are_watched() {
        let (directory, source, accounts) = directory("new.toml");
        let before = directory.path().join("old.toml");
        let files = unusable(&source, &before);
        assert_eq!(files.named(), [&*accounts]);
        assert_eq!(poll(&source, &accounts), files, "it is reported once");
        fs::write(&accounts, "a mistake").unwrap();
        assert_ne!(poll(&source, &accounts), files);
        let files = unusable(&source, &accounts);
        assert_eq!(poll(&source, &accounts), files, "it is reported once");
        fs::write(&accounts, ADMIN).unwrap();
        assert_ne!(poll(&source, &accounts), files);
        assert_eq!(usable(&source).1.accounts.users().len(), 1);
    }

    #[test]
    fn credentials_override_replaces_the_key() {
        let (directory, source, configured) = directory("users.toml");
        let named = directory.path().join("named.toml");
        fs::write(&named, ADMIN).unwrap();
        let source = ConfigSource {
            credentials: Some(named.clone()),
            ..source
        };
        let (files, loaded) = usable(&source);
        assert_eq!(loaded.config.credentials, named);
        assert_eq!(files, poll(&source, &named));
        // The configured file is not watched.
        fs::write(&configured, "a mistake").unwrap();
        assert_eq!(files, poll(&source, &named));
        assert_eq!(usable(&source).0, files);
    }

    #[test]
    fn unreadable_configuration_keeps_the_named_files() {
        let (_directory, source, accounts) = directory("users.toml");
        fs::write(&accounts, ADMIN).unwrap();
        fs::write(&source.path, "credentials = ").unwrap();
        assert_eq!(unusable(&source, &accounts), poll(&source, &accounts));
    }
}
