//! The configuration of a session: flags override the file, which overrides the defaults.

use std::{
    fs,
    io::{self, Read as _},
    num::NonZeroUsize,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use clap::ValueEnum as _;
use proto::{
    config::{Size, TimeSpan, TomlError, from_toml},
    credentials::{PasswordFileError, WorldAccessible, password_from_file},
    escape::Escaped,
    message::{Credentials, MAX_CREDENTIALS_BYTES},
    text::{EncodingError, decode},
    username::{UserName, UserNameError},
};
use serde::Deserialize;

use crate::{
    console::{Mode, Words},
    endpoint::{Endpoint, EndpointError, Scheme},
    handshake::Origin,
    tls::{TransportKind, Trust, TrustError},
};

/// The file that is read if no other is named and it exists.
const DEFAULT_FILE: &str = "config/client.toml";

/// The address of this workspace's server.
const DEFAULT_URL: &str = "ws://127.0.0.1:5678";

/// The longest silence after the end of the input before the connection is closed.
const LINGER: Duration = Duration::from_secs(1);

/// The time limit for the connection and the opening handshake.
pub(crate) const CONNECT_DEADLINE: Duration = Duration::from_secs(10);

/// The time limit for the server's side of the closing handshake.
const CLOSE_DEADLINE: Duration = Duration::from_secs(5);

/// The time limit for the answer to credentials. A server may hash passwords slowly on purpose.
const REPLY_DEADLINE: Duration = Duration::from_secs(30);

/// The greatest message. An echo is longer than its message, and a server's limit is often a round
/// number.
const MAX_MESSAGE_BYTES: NonZeroUsize = NonZeroUsize::new(16 * 1024 * 1024).unwrap();

/// The values of the command line. The file supplies missing ones.
#[derive(Debug, Default)]
pub struct Flags {
    /// The URL, unchecked.
    pub url: Option<String>,
    /// The configuration file.
    pub config: Option<PathBuf>,
    /// See [`Config::auth`].
    pub auth: Option<Auth>,
    /// The user to log in as.
    pub user: Option<String>,
    /// The file with that user's password.
    pub password_file: Option<PathBuf>,
    /// See [`Config::linger`].
    pub linger: Option<TimeSpan>,
    /// See [`Config::connect_deadline`].
    pub connect_deadline: Option<TimeSpan>,
    /// See [`Config::close_deadline`].
    pub close_deadline: Option<TimeSpan>,
    /// See [`Config::max_message_bytes`].
    pub max_message_bytes: Option<Size>,
    /// See [`Config::origin`].
    pub origin: Option<Origin>,
    /// The permission to send a password unencrypted over a network.
    pub cleartext: Cleartext,
    /// The source of trust in certificates.
    pub trust: Option<Trust>,
    /// See [`Config::words`].
    pub words: Words,
}

/// The permission to send a password unencrypted over a network.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum Cleartext {
    /// The password is not sent.
    #[default]
    Refused,
    /// The user allowed it.
    Allowed,
}

/// The login method.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Auth {
    /// Credentials are the first message, and the server answers it.
    #[default]
    Message,
    /// Credentials are in the handshake (HTTP Basic); the open connection is the login.
    Basic,
    /// No credentials, for a server without a login.
    None,
}

/// The checked configuration of a session.
#[derive(Debug)]
pub struct Config {
    /// The server to connect to.
    pub endpoint: Endpoint,
    /// The transport under the WebSocket.
    pub transport: TransportKind,
    /// The `Origin` to send, if any.
    pub origin: Option<Origin>,
    /// The longest silence after the end of the input before the connection is closed.
    pub linger: Duration,
    /// The time limit for the connection and the opening handshake together.
    pub connect_deadline: Duration,
    /// The time limit for the server's side of the closing handshake.
    pub close_deadline: Duration,
    /// The time limit for the answer to credentials, and for the server to read what is sent.
    pub reply_deadline: Duration,
    /// The greatest message from the server, and the longest line of the input.
    pub max_message_bytes: NonZeroUsize,
    /// The way in which the credentials are sent.
    pub auth: Auth,
    /// The source of the credentials, if any are sent.
    pub login: LoginSource,
    /// The treatment of the word `exit`.
    pub words: Words,
    /// The notice that a file of the current directory is used, for a person at a terminal.
    pub file_notice: Option<String>,
    /// Notices for the user about the choice of these values.
    pub notices: Vec<String>,
}

/// The source of the credentials.
#[derive(Debug)]
pub enum LoginSource {
    /// The lines of the input.
    Ask,
    /// A password prompt, for this user.
    AskPassword(UserName),
    /// The configuration.
    Configured(Credentials),
}

/// The configuration file as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawConfig {
    url: Option<String>,
    cacert: Option<PathBuf>,
    linger: Option<TimeSpan>,
    connect_deadline: Option<TimeSpan>,
    close_deadline: Option<TimeSpan>,
    reply_deadline: Option<TimeSpan>,
    max_message_bytes: Option<Size>,
    login: Option<RawLogin>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLogin {
    auth: Option<String>,
    user: Option<String>,
    password_file: Option<PathBuf>,
}

/// The greatest size of the default file, which may come with a foreign checkout.
const MAX_DEFAULT_FILE_BYTES: u64 = 1024 * 1024;

/// A configuration file that was read.
struct File {
    path: PathBuf,
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
    /// files of its own folder.
    Default,
}

impl File {
    /// Reads the named file, or the default file in the directory if it exists.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or the named one is missing. The default file belongs to another
    /// user.
    fn read(named: Option<PathBuf>, directory: &Path) -> Result<Option<Self>, ConfigError> {
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
    fn resolve(&self, key: &str, path: &Path) -> Result<PathBuf, ConfigError> {
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

    /// Returns the notice that this file is used, if the command line does not name it. `chosen` is the
    /// server, if the file chose it.
    fn notice(&self, chosen: Option<&Endpoint>) -> Option<String> {
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

    fn problem(&self, problem: TomlError) -> ConfigError {
        ConfigError::File {
            path: self.path.clone(),
            problem,
        }
    }

    fn problem_at(&self, key: &str, problem: &dyn std::fmt::Display) -> ConfigError {
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

impl Config {
    /// Reads the configuration file and the password file, and merges them with the flags.
    ///
    /// # Errors
    ///
    /// A file cannot be read or parsed, or the URL is invalid. A password would be sent
    /// unencrypted, or there is no terminal to ask for it. There are no root certificates.
    pub fn load(flags: Flags, directory: &Path, mode: Mode) -> Result<Self, ConfigError> {
        let mut notices = Vec::new();
        let url_is_asked_for = flags.url.is_some();
        let file = File::read(flags.config, directory)?;
        let raw: RawConfig = match &file {
            Some(file) => from_toml(&file.source).map_err(|error| file.problem(error))?,
            None => RawConfig::default(),
        };
        let url = raw.url.as_deref().unwrap_or(DEFAULT_URL);
        let configured = Endpoint::parse(url).map_err(|error| match &file {
            Some(file) => file.problem_at("url", &error),
            None => ConfigError::Url(error),
        })?;
        let endpoint = match flags.url {
            Some(url) => Endpoint::parse(&url).map_err(ConfigError::Url)?,
            None => configured.clone(),
        };
        let same_origin = endpoint.same_origin(&configured);
        let auth_of_file = match (&raw.login, &file) {
            (Some(login), Some(file)) => auth_from_file(file, login)?.filter(|_| same_origin),
            (_, _) => None,
        };
        let auth = flags.auth.or(auth_of_file).unwrap_or_default();
        let login = match (flags.user, raw.login, &file) {
            (Some(_), _, _) if auth == Auth::None => return Err(ConfigError::UserWithoutLogin),
            // A login in the file is for another server or another time.
            (None, _, _) if auth == Auth::None => LoginSource::Ask,
            (Some(user), _, _) => login_from_flags(&user, flags.password_file, &mut notices)?,
            (None, Some(login), Some(file)) if same_origin => {
                login_from_file(file, login, &mut notices)?
            }
            (None, Some(_), Some(file)) => {
                notices.push(format!(
                    "the login in {} is for {} and is not used for {}",
                    file.path.display(),
                    configured.origin(),
                    endpoint.origin()
                ));
                LoginSource::Ask
            }
            (None, None | Some(_), _) => LoginSource::Ask,
        };
        if let (LoginSource::AskPassword(name), Mode::Pipe) = (&login, mode) {
            return Err(ConfigError::NotInteractive(name.clone()));
        }
        let sends_password = auth != Auth::None;
        let readable = endpoint.scheme() == Scheme::Ws && !endpoint.is_loopback();
        if sends_password && readable && flags.cleartext == Cleartext::Refused {
            return Err(ConfigError::Cleartext(endpoint.authority()));
        }
        let trust = match (raw.cacert, &file) {
            (Some(path), Some(file)) if same_origin => Trust::File(file.resolve("cacert", &path)?),
            (Some(_), Some(file)) => {
                if endpoint.scheme() == Scheme::Wss && flags.trust.is_none() {
                    notices.push(format!(
                        "the cacert in {} is for {} and is not used for {}",
                        file.path.display(),
                        configured.origin(),
                        endpoint.origin()
                    ));
                }
                Trust::System
            }
            (_, _) => Trust::System,
        };
        let file_notice = file.as_ref().and_then(|file| {
            let chosen = raw.url.is_some() && !url_is_asked_for;
            file.notice(chosen.then_some(&endpoint))
        });
        let transport = TransportKind::new(&endpoint, flags.trust, trust)?;
        let span = |flag: Option<TimeSpan>, raw: Option<TimeSpan>, default| {
            flag.or(raw).map_or(default, |span| span.0)
        };
        Ok(Self {
            endpoint,
            transport,
            origin: flags.origin,
            linger: span(flags.linger, raw.linger, LINGER),
            connect_deadline: span(
                flags.connect_deadline,
                raw.connect_deadline,
                CONNECT_DEADLINE,
            ),
            close_deadline: span(flags.close_deadline, raw.close_deadline, CLOSE_DEADLINE),
            reply_deadline: span(None, raw.reply_deadline, REPLY_DEADLINE),
            max_message_bytes: flags
                .max_message_bytes
                .or(raw.max_message_bytes)
                .map_or(MAX_MESSAGE_BYTES, |size| size.0),
            auth,
            login,
            words: flags.words,
            file_notice,
            notices,
        })
    }
}

fn login_from_flags(
    user: &str,
    password_file: Option<PathBuf>,
    notices: &mut Vec<String>,
) -> Result<LoginSource, ConfigError> {
    let name = UserName::parse(user).map_err(ConfigError::User)?;
    match password_file {
        Some(path) => credentials(name, path, notices),
        None => Ok(LoginSource::AskPassword(name)),
    }
}

fn auth_from_file(file: &File, login: &RawLogin) -> Result<Option<Auth>, ConfigError> {
    let Some(auth) = &login.auth else {
        return Ok(None);
    };
    match Auth::from_str(auth, false) {
        Ok(Auth::None) if login.user.is_some() => Err(file.problem_at(
            "login.user",
            &"auth = \"none\" needs no user; take one of the two out",
        )),
        Ok(auth) => Ok(Some(auth)),
        Err(_) => Err(file.problem_at("login.auth", &"write \"message\", \"basic\" or \"none\"")),
    }
}

fn login_from_file(
    file: &File,
    login: RawLogin,
    notices: &mut Vec<String>,
) -> Result<LoginSource, ConfigError> {
    let Some(user) = login.user else {
        return match login.password_file {
            Some(_) => Err(file.problem_at(
                "login.password_file",
                &"a password belongs to a user; name the user with the key `user`",
            )),
            None => Ok(LoginSource::Ask),
        };
    };
    let name = UserName::parse(&user).map_err(|error| file.problem_at("login.user", &error))?;
    match login.password_file {
        Some(path) => {
            let path = file.resolve("login.password_file", &path)?;
            credentials(name, path, notices)
        }
        None => Ok(LoginSource::AskPassword(name)),
    }
}

/// Reads a password file. A file that everybody may read adds a warning to the notices.
fn credentials(
    name: UserName,
    path: PathBuf,
    notices: &mut Vec<String>,
) -> Result<LoginSource, ConfigError> {
    let text = match read_with_mode(&path).map(|(bytes, mode)| {
        if let Some(flaw) = WorldAccessible::of(&path, mode) {
            notices.push(format!("warning: {}", Escaped(&flaw.to_string())));
        }
        decode(bytes)
    }) {
        Ok(Ok(text)) => zeroize::Zeroizing::new(text),
        Ok(Err(problem)) => return Err(ConfigError::PasswordEncoding { path, problem }),
        Err(source) => return Err(ConfigError::PasswordRead { path, source }),
    };
    let password = match password_from_file(&text) {
        Ok(password) => password,
        Err(problem) => return Err(ConfigError::Password { path, problem }),
    };
    let credentials = Credentials { name, password };
    if credentials.line().expose().len() > MAX_CREDENTIALS_BYTES {
        return Err(ConfigError::TooLong { path });
    }
    Ok(LoginSource::Configured(credentials))
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

/// The reason why there is no valid configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The configuration file cannot be read.
    #[error("the configuration file {} cannot be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The file in the current directory belongs to another user.
    #[error(
        "the configuration file {} belongs to another user (uid {owner}) and is not used; run ws-client in another directory, or name the file with --config if you trust it",
        path.display()
    )]
    ForeignFile {
        /// The file.
        path: PathBuf,
        /// The user id of its owner.
        owner: u32,
    },
    /// The configuration file is not UTF-8.
    #[error("{}: {problem}", path.display())]
    Encoding {
        /// The file.
        path: PathBuf,
        /// The line, and what to do.
        problem: EncodingError,
    },
    /// The configuration file has an error.
    #[error("{}: {problem}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The line, the key, and the value to write.
        problem: TomlError,
    },
    /// The URL on the command line is invalid.
    #[error(transparent)]
    Url(EndpointError),
    /// The name after `--user` is invalid.
    #[error("--user: {0}")]
    User(UserNameError),
    /// `--user` was given without a login.
    #[error("--user: auth \"none\" needs no user; leave --user out, or choose another --auth")]
    UserWithoutLogin,
    /// The password file cannot be read.
    #[error("the password file {} cannot be read", path.display())]
    PasswordRead {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The password file is not UTF-8.
    #[error("the password file {}: {problem}", path.display())]
    PasswordEncoding {
        /// The file.
        path: PathBuf,
        /// The line, and what to do.
        problem: EncodingError,
    },
    /// The password file does not hold a password.
    #[error("the password file {}: {problem}", path.display())]
    Password {
        /// The file.
        path: PathBuf,
        /// The fault of its content.
        problem: PasswordFileError,
    },
    /// Name and password together are longer than a server accepts.
    #[error(
        "the password file {}: name and password together have at most {MAX_CREDENTIALS_BYTES} bytes",
        path.display()
    )]
    TooLong {
        /// The file.
        path: PathBuf,
    },
    /// The password must be typed, and stdin is not a terminal.
    #[error(
        "the password of {0} cannot be asked for without a terminal; name a file with the password by --password-file"
    )]
    NotInteractive(UserName),
    /// The password would be sent unencrypted over a network.
    #[error(
        "a password sent to {0} could be read on the way, because ws:// is not encrypted; use wss://, or say with --allow-insecure that the network can be trusted"
    )]
    Cleartext(String),
    /// The trust in certificates cannot be set up.
    #[error(transparent)]
    Trust(#[from] TrustError),
}
