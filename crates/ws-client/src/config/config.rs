//! What a session needs to know: flags over file over defaults, brought together in one place.

use std::{
    io,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::ValueEnum as _;
use proto::{
    config::{Size, TimeSpan, TomlError, from_toml},
    credentials::{PasswordFileError, password_from_file},
    message::{Credentials, MAX_CREDENTIALS_BYTES},
    username::{UserName, UserNameError},
};
use serde::Deserialize;

use crate::{
    console::Mode,
    endpoint::{Endpoint, EndpointError, Scheme},
    handshake::Origin,
    tls::{Transport, Trust, TrustError},
};

/// The file that is read when no other is named, if it exists.
const DEFAULT_FILE: &str = "config/client.toml";

/// Where the server of this workspace listens.
const DEFAULT_URL: &str = "ws://127.0.0.1:5678";

/// The longest quiet at the end of the input before the connection is closed.
const LINGER: Duration = Duration::from_secs(1);

/// The longest time for connecting and for the answer to the handshake.
pub(crate) const CONNECT_DEADLINE: Duration = Duration::from_secs(10);

/// The longest time for the server's side of the closing handshake.
const CLOSE_DEADLINE: Duration = Duration::from_secs(5);

/// The longest time for an answer to credentials. A server may hash passwords slowly on purpose.
const REPLY_DEADLINE: Duration = Duration::from_secs(30);

/// The greatest message: an echo is somewhat longer than what was sent, and a server's limit is
/// often a round number.
const MAX_MESSAGE_BYTES: NonZeroUsize = NonZeroUsize::new(16 * 1024 * 1024).unwrap();

/// What the command line says. What it leaves out is taken from the file.
#[derive(Debug, Default)]
pub struct Flags {
    /// The URL, which is not checked yet.
    pub url: Option<String>,
    /// The configuration file.
    pub config: Option<PathBuf>,
    /// See [`Config::auth`].
    pub auth: Option<Auth>,
    /// Whom to log in as.
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
    /// Whether a password may be sent unencrypted over a network.
    pub cleartext: Cleartext,
    /// Who is to be trusted to say which certificate is whose.
    pub trust: Option<Trust>,
}

/// Whether a password may leave this machine unencrypted.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum Cleartext {
    /// It may not.
    #[default]
    Refused,
    /// The user said that it may.
    Allowed,
}

/// How credentials are sent.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Auth {
    /// As the first message; the server answers whether they are right.
    #[default]
    Message,
    /// With the handshake, by HTTP Basic; the connection that opens is the login.
    Basic,
    /// Not at all: the server lets in whoever comes.
    None,
}

/// Everything that a session needs to know, checked.
#[derive(Debug)]
pub struct Config {
    /// Where to connect to.
    pub endpoint: Endpoint,
    /// What the WebSocket stands on there.
    pub transport: Transport,
    /// What to send as `Origin`, if anything.
    pub origin: Option<Origin>,
    /// How long nothing may come at the end of the input before the connection is closed.
    pub linger: Duration,
    /// The longest time for connecting and for the answer to the handshake, together.
    pub connect_deadline: Duration,
    /// The longest time for the server's side of the closing handshake.
    pub close_deadline: Duration,
    /// The longest time that the server may take for an answer to credentials, and to take in what
    /// is sent to it.
    pub reply_deadline: Duration,
    /// The greatest message that is taken from the server, and the greatest line from the input.
    pub max_message_bytes: NonZeroUsize,
    /// How the credentials are sent.
    pub auth: Auth,
    /// Where the credentials come from, if any are sent.
    pub login: LoginSource,
    /// What the user should know about how this came about.
    pub notices: Vec<String>,
}

/// Where the credentials come from.
#[derive(Debug)]
pub enum LoginSource {
    /// From the lines of the input.
    Ask,
    /// The user is known, and the person is asked for the password.
    AskPassword(UserName),
    /// They are configured.
    Configured(Credentials),
}

/// The file as it is written.
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

/// A configuration file that was read.
struct File {
    path: PathBuf,
    source: String,
}

impl File {
    /// Reads the named file, or the default one of this directory if it exists.
    fn read(named: Option<PathBuf>, directory: &Path) -> Result<Option<Self>, ConfigError> {
        let (path, optional) = match named {
            Some(path) => (path, false),
            None => (directory.join(DEFAULT_FILE), true),
        };
        match std::fs::read_to_string(&path) {
            Ok(source) => Ok(Some(Self { path, source })),
            Err(error) if optional && error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(ConfigError::Read { path, source }),
        }
    }

    /// A path that is written in the file: a relative one is meant from there.
    fn resolve(&self, path: PathBuf) -> PathBuf {
        let directory = self.path.parent().unwrap_or(Path::new(""));
        directory.join(path)
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

impl Config {
    /// Reads the configuration file and the password file, and brings everything together.
    ///
    /// # Errors
    ///
    /// A file that cannot be read or understood, a URL that cannot be used, a password that would
    /// be sent in the clear or that nobody is there to type, nobody who could be trusted.
    pub fn load(flags: Flags, directory: &Path, mode: Mode) -> Result<Self, ConfigError> {
        let mut notices = Vec::new();
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
        let here = endpoint.same_origin(&configured);
        let auth_of_file = match (&raw.login, &file) {
            (Some(login), Some(file)) => auth_by_file(file, login)?.filter(|_| here),
            (_, _) => None,
        };
        let auth = flags.auth.or(auth_of_file).unwrap_or_default();
        let login = match (flags.user, raw.login, &file) {
            (Some(_), _, _) if auth == Auth::None => return Err(ConfigError::UserWithoutLogin),
            // Whoever logs in somewhere else does not do so here.
            (None, _, _) if auth == Auth::None => LoginSource::Ask,
            (Some(user), _, _) => login_by_flags(&user, flags.password_file)?,
            (None, Some(login), Some(file)) if here => login_by_file(file, login)?,
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
            (Some(path), Some(file)) => Trust::File(file.resolve(path)),
            (_, _) => Trust::System,
        };
        let transport = Transport::new(&endpoint, flags.trust, trust)?;
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
            notices,
        })
    }
}

fn login_by_flags(user: &str, password_file: Option<PathBuf>) -> Result<LoginSource, ConfigError> {
    let name = UserName::parse(user).map_err(ConfigError::User)?;
    match password_file {
        Some(path) => credentials(name, path),
        None => Ok(LoginSource::AskPassword(name)),
    }
}

fn auth_by_file(file: &File, login: &RawLogin) -> Result<Option<Auth>, ConfigError> {
    let Some(auth) = &login.auth else {
        return Ok(None);
    };
    match Auth::from_str(auth, false) {
        Ok(Auth::None) if login.user.is_some() => Err(file.problem_at(
            "login.user",
            &"nobody logs in with auth = \"none\"; take one of the two out",
        )),
        Ok(auth) => Ok(Some(auth)),
        Err(_) => Err(file.problem_at("login.auth", &"write \"message\", \"basic\" or \"none\"")),
    }
}

fn login_by_file(file: &File, login: RawLogin) -> Result<LoginSource, ConfigError> {
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
        Some(path) => credentials(name, file.resolve(path)),
        None => Ok(LoginSource::AskPassword(name)),
    }
}

fn credentials(name: UserName, path: PathBuf) -> Result<LoginSource, ConfigError> {
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => zeroize::Zeroizing::new(text),
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

/// Why there is no configuration to work with.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The configuration file cannot be read.
    #[error("the configuration file {} cannot be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Something in the configuration file is wrong.
    #[error("{}: {problem}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Line, key, and what to write.
        problem: TomlError,
    },
    /// The URL on the command line is wrong.
    #[error(transparent)]
    Url(EndpointError),
    /// The name after `--user` is none.
    #[error("--user: {0}")]
    User(UserNameError),
    /// There is a user after `--user`, and no login.
    #[error("--user: nobody logs in with auth \"none\"; choose another way with --auth")]
    UserWithoutLogin,
    /// The password file cannot be read.
    #[error("the password file {} cannot be read", path.display())]
    PasswordRead {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The password file does not hold a password.
    #[error("the password file {}: {problem}", path.display())]
    Password {
        /// The file.
        path: PathBuf,
        /// What is wrong with its content.
        problem: PasswordFileError,
    },
    /// Name and password are longer than a server takes.
    #[error(
        "the password file {}: name and password together have at most {MAX_CREDENTIALS_BYTES} bytes",
        path.display()
    )]
    TooLong {
        /// The file.
        path: PathBuf,
    },
    /// The password has to be typed, and stdin is no terminal.
    #[error(
        "the password of {0} can be asked for at a terminal only; name a file that holds it with --password-file"
    )]
    NotInteractive(UserName),
    /// The password would go over the network as it is.
    #[error(
        "a password sent to {0} could be read on the way, because ws:// is not encrypted; use wss://, or say with --allow-insecure that the network can be trusted"
    )]
    Cleartext(String),
    /// Nobody can be trusted, or nothing checked.
    #[error(transparent)]
    Trust(#[from] TrustError),
}
