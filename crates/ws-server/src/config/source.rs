//! Where the configuration comes from, at the start and at each reload.

use std::{
    fs::{self, Metadata},
    net::SocketAddr,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use proto::{credentials::Accounts, username::UserName};

use crate::{
    access::PathPattern,
    config::{
        error::ConfigError,
        exposure,
        files::{self, load_accounts},
        resolved::Config,
        tables::ConfigTables,
        tls::TlsFiles,
    },
    log::LogFormat,
    tls::Tls,
};

/// Where the configuration is looked for when no other place is named.
pub const DEFAULT_PATH: &str = "config/server.toml";

/// The configuration file, and the command-line values that override it.
#[derive(Debug, Clone)]
pub struct ConfigSource {
    /// The file.
    pub path: PathBuf,
    /// Where to listen, instead of where the file says.
    pub listen: Option<SocketAddr>,
    /// What the lines of the log look like, instead of what the file says.
    pub log_format: Option<LogFormat>,
    /// The file of the accounts, instead of the one that the file names.
    pub credentials: Option<PathBuf>,
}

/// The configuration and the contents of the files that it names.
#[derive(Debug)]
pub struct LoadedConfig {
    /// What the configuration's file says, with what goes before it.
    pub tables: ConfigTables,
    /// What the server runs on.
    pub config: Config,
    /// Who may log in.
    pub accounts: Accounts,
    /// How connections are encrypted, if they are.
    pub tls: Option<Tls>,
}

/// A route names a user who has no account.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the route `{route}` names the user `{user}`, who has no account in {}", credentials.display())]
pub(crate) struct UnknownRouteUserError {
    route: PathPattern,
    user: UserName,
    credentials: PathBuf,
}

/// The first user of a route who has no account, if there is one.
///
/// At the start that is a mistake. Later it is not: whoever takes an account away wants its sessions
/// to end now, and not when the routes are tidied up.
pub(crate) fn undefined_route_user(
    config: &Config,
    accounts: &Accounts,
) -> Option<UnknownRouteUserError> {
    let mut routes = config.handshake.routes.iter();
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
    /// Those that the configuration names, as far as that is known.
    named: Vec<(PathBuf, Option<FileStamp>)>,
}

impl WatchedFiles {
    /// The paths of those that the configuration names.
    pub(crate) fn named(&self) -> Vec<PathBuf> {
        self.named.iter().map(|(path, _)| path.clone()).collect()
    }
}

/// The metadata of a file. Writing to the file or replacing it changes the stamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FileStamp {
    inode: (u64, u64),
    size: u64,
    modified: (i64, i64),
    /// Moves on even where a tool sets the time of the modification back.
    changed: (i64, i64),
}

impl Config {
    /// Reads the configuration.
    ///
    /// # Errors
    ///
    /// One message that names the file, the line and the key, and says what to write.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let source = ConfigSource {
            path: path.to_owned(),
            listen: None,
            log_format: None,
            credentials: None,
        };
        source.read_config().map(|(_, config)| config)
    }
}

impl ConfigSource {
    /// Reads the configuration and the files that it names, where these were named until now. What
    /// was read comes with the files as they were just before, whether or not they can be used: what
    /// has to be mended is one of them, even if it is one that was never used.
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

    /// Returns the stamps of the files now, where the configuration names these.
    pub(crate) fn poll_files(&self, named: &[PathBuf]) -> WatchedFiles {
        let named = named.iter().map(|path| (path.clone(), FileStamp::of(path)));
        WatchedFiles {
            config: FileStamp::of(&self.path),
            named: named.collect(),
        }
    }

    /// Checks that what was loaded is fit for a server that listens here, wherever the next one is to
    /// listen.
    pub(crate) fn check_exposure(
        &self,
        listen: SocketAddr,
        loaded: &LoadedConfig,
    ) -> Result<(), ConfigError> {
        exposure::check_accounts(listen, &loaded.accounts)
            .map_err(|problem| ConfigError::exposed(&self.path, problem))
    }

    fn read_config(&self) -> Result<(ConfigTables, Config), ConfigError> {
        let source = files::read(&self.path)?;
        let directory = self.path.parent().unwrap_or(Path::new(""));
        let content = |problem| ConfigError::content(&self.path, problem);
        let mut tables = ConfigTables::parse(&source, directory).map_err(content)?;
        if let Some(listen) = self.listen {
            tables.listen = listen;
        }
        if let Some(log_format) = self.log_format {
            tables.log_format = log_format;
        }
        if let Some(credentials) = &self.credentials {
            tables.credentials.0.clone_from(credentials);
        }
        let config = Config::of(&tables, &source).map_err(content)?;
        Ok((tables, config))
    }

    fn read(&self, files: &mut WatchedFiles) -> Result<LoadedConfig, ConfigError> {
        let (tables, config) = self.read_config()?;
        *files = WatchedFiles {
            config: files.config,
            ..self.poll_files(&config.named_files())
        };
        let accounts = load_accounts(&config.credentials)?;
        let tls = config.tls.as_ref().map(TlsFiles::load).transpose()?;
        exposure::check(&config, &accounts)
            .map_err(|problem| ConfigError::exposed(&self.path, problem))?;
        Ok(LoadedConfig {
            tables,
            config,
            accounts,
            tls,
        })
    }
}

impl FileStamp {
    fn of(path: &Path) -> Option<Self> {
        fs::metadata(path).ok().as_ref().map(Self::from)
    }
}

impl From<&Metadata> for FileStamp {
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

    use super::{ConfigSource, LoadedConfig, WatchedFiles};

    const ADMIN: &str = "[[user]]\nname = \"admin\"\npassword = \"123456\"";

    /// A directory with a configuration that names a file of accounts, and where both are.
    fn directory(credentials: &str) -> (TempDir, ConfigSource, PathBuf) {
        let directory = tempdir().unwrap();
        let path = directory.path().join("server.toml");
        fs::write(&path, format!("credentials = \"{credentials}\"")).unwrap();
        let accounts = directory.path().join(credentials);
        let source = ConfigSource {
            path,
            listen: None,
            log_format: None,
            credentials: None,
        };
        (directory, source, accounts)
    }

    /// What has to be looked at after files could not be used.
    fn unusable(source: &ConfigSource, credentials: &Path) -> WatchedFiles {
        let (files, read) = source.load(&[credentials.to_owned()]);
        read.unwrap_err();
        files
    }

    /// What the files are, and say, where they can be used.
    fn usable(source: &ConfigSource) -> (WatchedFiles, LoadedConfig) {
        let (files, read) = source.load(&[]);
        (files, read.unwrap())
    }

    /// What is seen where this is the file of the accounts.
    fn poll(source: &ConfigSource, credentials: &Path) -> WatchedFiles {
        source.poll_files(&[credentials.to_owned()])
    }

    #[test]
    fn what_was_read_is_what_is_seen_until_a_file_changes() {
        let (_directory, source, accounts) = directory("users.toml");
        fs::write(&accounts, ADMIN).unwrap();
        let (files, _) = usable(&source);
        assert_eq!(files.named(), [&*accounts]);
        assert_eq!(poll(&source, &accounts), files);

        // A file of the same size in its place.
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
    fn a_file_of_accounts_that_must_be_mended_is_looked_at_though_it_was_never_used() {
        let (directory, source, accounts) = directory("new.toml");
        let before = directory.path().join("old.toml");
        let files = unusable(&source, &before);
        assert_eq!(files.named(), [&*accounts]);
        assert_eq!(poll(&source, &accounts), files, "it is said once");
        fs::write(&accounts, "a mistake").unwrap();
        assert_ne!(poll(&source, &accounts), files);
        let files = unusable(&source, &accounts);
        assert_eq!(poll(&source, &accounts), files, "it is said once");
        fs::write(&accounts, ADMIN).unwrap();
        assert_ne!(poll(&source, &accounts), files);
        assert_eq!(usable(&source).1.accounts.users().len(), 1);
    }

    #[test]
    fn where_to_listen_may_be_said_before_the_file_says_it() {
        let (_directory, source, accounts) = directory("users.toml");
        fs::write(&accounts, ADMIN).unwrap();
        let listen = ([127, 0, 0, 1], 1).into();
        let source = ConfigSource {
            listen: Some(listen),
            ..source
        };
        assert_eq!(usable(&source).1.config.listen, listen);
    }

    #[test]
    fn the_file_of_the_accounts_may_be_named_before_the_configuration_names_it() {
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
        // The one that is configured is not looked at.
        fs::write(&configured, "a mistake").unwrap();
        assert_eq!(files, poll(&source, &named));
        assert_eq!(usable(&source).0, files);
    }

    #[test]
    fn a_configuration_that_cannot_be_read_names_no_other_file_of_accounts() {
        let (_directory, source, accounts) = directory("users.toml");
        fs::write(&accounts, ADMIN).unwrap();
        fs::write(&source.path, "credentials = ").unwrap();
        assert_eq!(unusable(&source, &accounts), poll(&source, &accounts));
    }
}
