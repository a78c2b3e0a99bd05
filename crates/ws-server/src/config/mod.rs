//! The configuration, complete and checked before anything is bound.
//!
//! `raw` is what the file may say, [`Config`] is what the server runs on, and what turns one into
//! the other stands in `Config::resolve` alone.

mod error;
mod limits;
mod raw;

use std::{
    fmt, fs,
    net::SocketAddr,
    num::NonZeroUsize,
    path::{Path, PathBuf},
};

use proto::{
    config::{Count, TimeSpan, TomlError, from_toml, quoted},
    credentials::Accounts,
    login::LoginPolicy,
};

pub(crate) use self::limits::MAX_DISCARDED_BYTES;
use self::raw::RawConfig;
pub use self::{error::ConfigError, limits::Limits};
use crate::{
    handshake::{AllowedOrigin, Origin, Rules},
    service::{Echo, Service},
};

/// Where the configuration is looked for when no other place is named.
pub const DEFAULT_PATH: &str = "config/server.toml";

/// Where the tutorial's server listens.
const DEFAULT_LISTEN: &str = "127.0.0.1:5678";

/// The file of the accounts, beside the configuration.
const DEFAULT_CREDENTIALS: &str = "credentials.toml";

/// What the tutorial's server puts before each text.
const DEFAULT_PREFIX: &str = "your submit context: ";

/// The greatest length of the echo's prefix: every answer in flight carries it.
const MAX_PREFIX_BYTES: usize = 64 * 1024;

/// The greatest number of threads that can be configured. More of them only get in each other's way.
const MAX_WORKER_THREADS: usize = 1024;

/// Everything that the server runs on, but for the accounts.
#[derive(Debug)]
pub struct Config {
    /// Where to listen.
    pub listen: SocketAddr,
    /// The file of the accounts.
    pub credentials: PathBuf,
    /// Which handshakes are taken.
    pub rules: Rules,
    /// How many threads serve connections; as many as there are cores, if it is not given.
    pub worker_threads: Option<NonZeroUsize>,
    /// What is demanded of a login.
    pub login: LoginPolicy,
    /// What bounds each connection, and all of them together.
    pub limits: Limits,
    /// What runs after the login.
    pub service: Service,
}

impl Config {
    /// Reads the configuration.
    ///
    /// # Errors
    ///
    /// One message that names the file, the line and the key, and says what to write.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let source = fs::read_to_string(path).map_err(|error| ConfigError::read(path, error))?;
        let directory = path.parent().unwrap_or(Path::new(""));
        Self::resolve(&source, directory).map_err(|problem| ConfigError::content(path, problem))
    }

    /// Checks what a file says, and fills in the rest. Relative paths start from its directory.
    fn resolve(source: &str, directory: &Path) -> Result<Self, TomlError> {
        let raw: RawConfig = from_toml(source)?;
        let listen = raw.listen.as_deref().unwrap_or(DEFAULT_LISTEN);
        let listen = listen.parse().map_err(|_| {
            let problem =
                "write an address and a port, such as \"127.0.0.1:5678\" or \"[::1]:5678\"";
            TomlError::at_key(source, "listen", problem)
        })?;
        let prefix = raw.echo.prefix.as_deref().unwrap_or(DEFAULT_PREFIX);
        if prefix.len() > MAX_PREFIX_BYTES {
            let problem = format!("write at most {MAX_PREFIX_BYTES} bytes");
            return Err(TomlError::at_key(source, "echo.prefix", problem));
        }
        let worker_threads = raw.worker_threads.map(|count| count.0);
        if worker_threads.is_some_and(|threads| threads.get() > MAX_WORKER_THREADS) {
            let problem = format!("write at most {MAX_WORKER_THREADS}");
            return Err(TomlError::at_key(source, "worker_threads", problem));
        }
        let login = LoginPolicy {
            deadline: raw
                .login
                .deadline
                .map_or(LoginPolicy::DEFAULT.deadline, |span| span.0),
            max_attempts: raw
                .login
                .max_attempts
                .map_or(LoginPolicy::DEFAULT.max_attempts, |count| count.0),
        };
        Ok(Self {
            listen,
            credentials: directory.join(
                raw.credentials
                    .as_deref()
                    .unwrap_or(Path::new(DEFAULT_CREDENTIALS)),
            ),
            rules: rules(source, &raw)?,
            worker_threads,
            login,
            limits: Limits::resolve(&raw.limits, source, prefix.len())?,
            service: Service::Echo(Echo::new(prefix)),
        })
    }
}

impl Default for Config {
    /// What an empty file in the current directory says.
    fn default() -> Self {
        Self::resolve("", Path::new("")).expect("the defaults fit each other")
    }
}

/// Reads the accounts.
///
/// # Errors
///
/// One message that names the file, the line and the key, and repeats no password.
pub fn load_accounts(path: &Path) -> Result<Accounts, ConfigError> {
    let source = fs::read_to_string(path).map_err(|error| ConfigError::read(path, error))?;
    let source = zeroize::Zeroizing::new(source);
    Accounts::from_toml(&source).map_err(|problem| ConfigError::content(path, problem))
}

fn rules(source: &str, raw: &RawConfig) -> Result<Rules, TomlError> {
    let allowed_origins = raw.allowed_origins.iter().map(|origin| {
        if origin == "null" {
            return Ok(AllowedOrigin::Null);
        }
        Origin::parse(origin)
            .map(AllowedOrigin::Of)
            .map_err(|error| TomlError::at_key(source, "allowed_origins", error.to_string()))
    });
    let subprotocols = raw.subprotocols.iter().map(|name| {
        if is_token(name) {
            return Ok(name.clone());
        }
        let problem = "a subprotocol is a token of letters, digits and !#$%&'*+-.^_`|~";
        Err(TomlError::at_key(source, "subprotocols", problem))
    });
    Ok(Rules {
        allowed_origins: allowed_origins.collect::<Result<_, _>>()?,
        subprotocols: subprotocols.collect::<Result<_, _>>()?,
    })
}

/// A token of RFC 9110 section 5.6.2.
fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

impl fmt::Display for Config {
    /// Writes a configuration file that says all of it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "listen = \"{}\"", self.listen)?;
        writeln!(
            f,
            "credentials = {}",
            quoted(&self.credentials.to_string_lossy())
        )?;
        let origins = self.rules.allowed_origins.iter().map(ToString::to_string);
        writeln!(f, "allowed_origins = [{}]", list(origins))?;
        writeln!(
            f,
            "subprotocols = [{}]",
            list(self.rules.subprotocols.iter().cloned())
        )?;
        match self.worker_threads {
            Some(threads) => writeln!(f, "worker_threads = {threads}")?,
            None => writeln!(f, "# worker_threads: one for each core")?,
        }
        writeln!(f, "\n[login]")?;
        writeln!(f, "deadline = {}", TimeSpan(self.login.deadline))?;
        writeln!(f, "max_attempts = {}", Count(self.login.max_attempts))?;
        write!(f, "\n[limits]\n{}", self.limits)?;
        match &self.service {
            Service::Echo(echo) => write!(f, "\n[echo]\nprefix = {}\n", quoted(echo.prefix())),
        }
    }
}

fn list(texts: impl Iterator<Item = String>) -> String {
    texts
        .map(|text| quoted(&text))
        .collect::<Vec<_>>()
        .join(", ")
}

#[cfg(test)]
mod tests;
