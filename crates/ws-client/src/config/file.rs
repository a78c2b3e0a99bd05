//! The configuration file: its choice, its bounds and its keys.

use std::{
    fs,
    io::{self, Read as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use proto::{
    config::{Size, TimeSpan, TomlError, from_toml},
    text::decode,
};
use serde::Deserialize;

use super::error::ConfigError;
use crate::endpoint::Endpoint;

/// The file that is read if no other is named and it exists.
const DEFAULT_FILE: &str = "config/client.toml";

/// The greatest size of the default file, which may come with a foreign checkout.
const MAX_DEFAULT_FILE_BYTES: u64 = 1024 * 1024;

/// The configuration file as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawConfig {
    pub(super) url: Option<String>,
    pub(super) cacert: Option<PathBuf>,
    pub(super) linger: Option<TimeSpan>,
    pub(super) connect_deadline: Option<TimeSpan>,
    pub(super) close_deadline: Option<TimeSpan>,
    pub(super) reply_deadline: Option<TimeSpan>,
    pub(super) max_message_bytes: Option<Size>,
    pub(super) login: Option<RawLogin>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLogin {
    pub(super) auth: Option<String>,
    pub(super) user: Option<String>,
    pub(super) password_file: Option<PathBuf>,
    pub(super) password_command: Option<String>,
    pub(super) bearer_file: Option<PathBuf>,
}

/// A configuration file that was read.
pub(super) struct File {
    pub(super) path: PathBuf,
    source: String,
    choice: FileChoice,
}

/// The reason why a file is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FileChoice {
    /// The command line names the file.
    Named,
    /// The file lies in the current directory. Another person may have written it, for example
    /// the author of a checkout, so it can do less: it must belong to the user, and may name only
    /// files of its own folder and no command.
    Default,
}

impl File {
    /// Reads the named file, or the default file in the directory if it exists.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or the named one is missing. The default file belongs to another
    /// user.
    pub(super) fn read(
        named: Option<PathBuf>,
        directory: &Path,
    ) -> Result<Option<Self>, ConfigError> {
        let (path, choice) = match named {
            Some(path) => (path, FileChoice::Named),
            None => (directory.join(DEFAULT_FILE), FileChoice::Default),
        };
        let bytes = match choice {
            FileChoice::Named => fs::read(&path),
            FileChoice::Default => match read_default(&path) {
                Ok((owner, bytes)) => {
                    check_owner(&path, owner, rustix::process::geteuid().as_raw())?;
                    Ok(bytes)
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(error) => Err(error),
            },
        };
        match bytes {
            Ok(bytes) => match decode(bytes) {
                Ok(source) => Ok(Some(Self {
                    path,
                    source,
                    choice,
                })),
                Err(problem) => Err(ConfigError::Encoding { path, problem }),
            },
            Err(source) => Err(ConfigError::Read { path, source }),
        }
    }

    /// Resolves a path in the file, relative to the file's directory. The key is named in errors.
    ///
    /// # Errors
    ///
    /// The file is the default one, and the path leads out of its folder, also by a symbolic link.
    pub(super) fn resolve(&self, key: &str, path: &Path) -> Result<PathBuf, ConfigError> {
        let directory = self.path.parent().unwrap_or(Path::new(""));
        let resolved = directory.join(path);
        // A path that does not exist is reported when it is read.
        if let (FileChoice::Default, Ok(folder), Ok(target)) = (
            self.choice,
            fs::canonicalize(directory),
            fs::canonicalize(&resolved),
        ) && !target.starts_with(folder)
        {
            let problem = format!(
                "{} is not in the folder of this file; move it there, or name this file with \
                 --config",
                path.display()
            );
            return Err(self.problem_at(key, &problem));
        }
        Ok(resolved)
    }

    /// Checks that the file may name a command. The default one may not: it would run a program that
    /// another person chose.
    ///
    /// # Errors
    ///
    /// The file is the default one.
    pub(super) fn check_command(&self, key: &str) -> Result<(), ConfigError> {
        match self.choice {
            FileChoice::Named => Ok(()),
            FileChoice::Default => Err(self.problem_at(
                key,
                &"a file of the current directory may not name a command; name this file with \
                  --config",
            )),
        }
    }

    /// Returns the notice that a value of the file is for its own server only, and not for another one.
    pub(super) fn unused(&self, key: &str, server: &Endpoint, other: &Endpoint) -> String {
        format!(
            "the {key} in {} is for {} and is not used for {}",
            self.path.display(),
            server.origin(),
            other.origin()
        )
    }

    /// Returns the notice that this file is used, if the command line does not name it. `chosen` is the
    /// server, if the file chose it.
    pub(super) fn notice(&self, chosen: Option<&Endpoint>) -> Option<String> {
        let path = self.path.display();
        match (self.choice, chosen) {
            (FileChoice::Named, _) => None,
            (FileChoice::Default, Some(server)) => Some(format!(
                "{path} of the current directory chose the server {}",
                server.origin()
            )),
            (FileChoice::Default, None) => Some(format!("using {path} of the current directory")),
        }
    }

    /// Checks that a secret of the command line may go to the server that this file chose. In a foreign
    /// checkout, its author would get it.
    ///
    /// # Errors
    ///
    /// The command line does not name this file.
    pub(super) fn check_secret(
        &self,
        secret: &'static str,
        server: &Endpoint,
    ) -> Result<(), ConfigError> {
        match self.choice {
            FileChoice::Named => Ok(()),
            FileChoice::Default => Err(ConfigError::UntrustedServer {
                secret,
                path: self.path.clone(),
                server: server.origin(),
            }),
        }
    }

    /// Parses the keys of the file.
    ///
    /// # Errors
    ///
    /// The file has an error.
    pub(super) fn parse(&self) -> Result<RawConfig, ConfigError> {
        from_toml(&self.source).map_err(|error| self.problem(error))
    }

    fn problem(&self, problem: TomlError) -> ConfigError {
        ConfigError::File {
            path: self.path.clone(),
            problem,
        }
    }

    pub(super) fn problem_at(&self, key: &str, problem: &dyn std::fmt::Display) -> ConfigError {
        self.problem(TomlError::at_key(&self.source, key, problem.to_string()))
    }
}

/// Reads the default file, and returns the user id of its owner with it.
///
/// # Errors
///
/// The file cannot be read, is no regular file, or is too long.
fn read_default(path: &Path) -> io::Result<(u32, Vec<u8>)> {
    // Opening a FIFO would wait for its writer.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let file = fs::File::open(path)?;
    let owner = file.metadata()?.uid();
    let mut bytes = Vec::new();
    let read = file
        .take(MAX_DEFAULT_FILE_BYTES + 1)
        .read_to_end(&mut bytes)?;
    if read as u64 > MAX_DEFAULT_FILE_BYTES {
        return Err(io::Error::other("it is longer than 1 MiB"));
    }
    Ok((owner, bytes))
}

/// Checks that the default file belongs to the user.
///
/// # Errors
///
/// The file belongs to another user.
pub(super) fn check_owner(path: &Path, owner: u32, user: u32) -> Result<(), ConfigError> {
    if owner == user {
        return Ok(());
    }
    Err(ConfigError::ForeignFile {
        path: path.to_owned(),
        owner,
    })
}
