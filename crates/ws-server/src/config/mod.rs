//! The configuration, complete and checked before anything is bound.
//!
//! `raw` is what the file may say, [`Config`] is what the server runs on, and what turns one into
//! the other stands in `Config::resolve` alone.

mod admin;
mod error;
mod exposure;
mod limits;
mod raw;
mod route;
mod snapshot;
mod source;
mod tls;

use std::{
    fmt,
    fs::{self, Metadata},
    io,
    net::SocketAddr,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    thread,
};

use proto::{
    config::{Count, Limit, TimeSpan, TomlError, from_toml, quoted},
    credentials::Accounts,
    login::LoginPolicy,
};
use tracing_subscriber::filter::LevelFilter;

use self::raw::{OneOrMany, RawConfig, RawLogin};
pub use self::{
    admin::{AdminAddress, AdminAddressError},
    error::ConfigError,
    exposure::ExposedError,
    source::{Loaded, Source},
    tls::TlsFiles,
};
pub(crate) use self::{
    exposure::{have_development_account, is_exposed},
    snapshot::Snapshot,
    source::{Files, stranger},
};
use crate::{
    access::{AllowedOrigin, Origin},
    handshake::{Basic, Rules},
    limits::Limits,
    peer::{ForwardedField, ForwardedFieldError, TrustedProxies},
};
pub use crate::{admission::BudgetPolicy, auth::HashingPolicy, log::LogFormat};

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

/// The greatest number of threads of a kind that can be configured. More of them only get in each
/// other's way.
const MAX_THREADS: usize = 1024;

/// The greatest number of logins that may wait: the last of them would wait for minutes.
const MAX_WAITING_LOGINS: usize = 10_000;

/// The greatest length of a file that is read: room for hundreds of thousands of accounts. Some other
/// file that was named by mistake is not to take the memory of a server that runs.
const MAX_FILE_BYTES: u64 = 64 * 1024 * 1024;

/// Everything that the server runs on, but for the accounts.
#[derive(Debug)]
pub struct Config {
    /// Where to listen.
    pub listen: SocketAddr,
    /// The file of the accounts.
    pub credentials: PathBuf,
    /// The files of certificate and private key; connections are not encrypted, if there are none.
    pub tls: Option<TlsFiles>,
    /// Whether others may come where connections are not encrypted.
    pub allow_insecure: bool,
    /// Which handshakes are taken.
    pub rules: Rules,
    /// Which proxies are believed about whom they speak for.
    pub proxies: TrustedProxies,
    /// Where the operator is listened to; nowhere, if there is no address.
    pub admin: Vec<AdminAddress>,
    /// How detailed the log is.
    pub log_level: LevelFilter,
    /// What a line of the log looks like.
    pub log_format: LogFormat,
    /// How many threads serve connections; as many as there are cores, if it is not given.
    pub worker_threads: Option<NonZeroUsize>,
    /// What is demanded of a login.
    pub login: LoginPolicy,
    /// How many logins an address may get wrong; any number, if there is none.
    pub budget: Option<BudgetPolicy>,
    /// How many passwords are hashed at a time; one for each core, if it is not given.
    pub hash_workers: Option<NonZeroUsize>,
    /// How many logins may wait for a password to be hashed.
    pub max_waiting_logins: NonZeroUsize,
    /// What bounds each connection, and all of them together.
    pub limits: Limits,
    /// What an echo puts before its answers, where its route does not say it.
    pub echo_prefix: String,
}

impl Config {
    /// Reads the configuration.
    ///
    /// # Errors
    ///
    /// One message that names the file, the line and the key, and says what to write.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let source = read_file(path)?;
        let directory = path.parent().unwrap_or(Path::new(""));
        Self::resolve(&source, directory).map_err(|problem| ConfigError::content(path, problem))
    }

    /// Checks what a file says, and fills in the rest. Relative paths start from its directory.
    pub(crate) fn resolve(source: &str, directory: &Path) -> Result<Self, TomlError> {
        let raw: RawConfig = from_toml(source)?;
        let listen = raw.listen.as_deref().unwrap_or(DEFAULT_LISTEN);
        let listen = listen.parse().map_err(|_| {
            let problem =
                "write an address and a port, such as \"127.0.0.1:5678\" or \"[::1]:5678\"";
            TomlError::at_key(source, "listen", problem)
        })?;
        let prefix = raw.echo.prefix.as_deref().unwrap_or(DEFAULT_PREFIX);
        let prefix = self::prefix(prefix)
            .map_err(|problem| TomlError::at_key(source, "echo.prefix", problem))?;
        let threads = |key, count: Option<Count>| match count {
            Some(Count(threads)) if threads.get() > MAX_THREADS => {
                let problem = format!("write at most {MAX_THREADS}");
                Err(TomlError::at_key(source, key, problem))
            }
            count => Ok(count.map(|count| count.0)),
        };
        Ok(Self {
            listen,
            credentials: directory.join(
                raw.credentials
                    .as_deref()
                    .unwrap_or(Path::new(DEFAULT_CREDENTIALS)),
            ),
            tls: TlsFiles::resolve(&raw.tls, source, directory)?,
            allow_insecure: raw.allow_insecure.unwrap_or(false),
            rules: rules(source, &raw, prefix)?,
            proxies: proxies(source, &raw)?,
            admin: admin(source, &raw, directory)?,
            log_level: log_level(source, &raw)?,
            log_format: log_format(source, &raw)?,
            worker_threads: threads("worker_threads", raw.worker_threads)?,
            login: login(&raw.login),
            budget: budget(&raw.login),
            hash_workers: threads("login.hash_workers", raw.login.hash_workers)?,
            max_waiting_logins: max_waiting_logins(source, &raw.login)?,
            limits: limits::resolve(&raw.limits, source)?,
            echo_prefix: prefix.to_owned(),
        })
    }
}

impl Config {
    /// The files that it names.
    fn named_files(&self) -> Vec<PathBuf> {
        let mut files = vec![self.credentials.clone()];
        if let Some(tls) = &self.tls {
            files.extend([tls.certificate.clone(), tls.private_key.clone()]);
        }
        files
    }

    /// How much is hashed at the same time.
    pub(crate) fn hashing(&self) -> HashingPolicy {
        HashingPolicy {
            workers: self
                .hash_workers
                .or_else(|| thread::available_parallelism().ok())
                .unwrap_or(NonZeroUsize::MIN),
            max_waiting: self.max_waiting_logins,
        }
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
    let source = zeroize::Zeroizing::new(read_file(path)?);
    Accounts::from_toml(&source).map_err(|problem| ConfigError::content(path, problem))
}

fn read_file(path: &Path) -> Result<String, ConfigError> {
    let text = examine(path).and_then(|_| fs::read_to_string(path));
    text.map_err(|error| ConfigError::read(path, error))
}

/// What the system says of a file that is to be read. A pipe or a device is none: there, a server
/// that runs could wait for ever for the end of what it reads again.
fn examine(path: &Path) -> io::Result<Metadata> {
    let file = fs::metadata(path)?;
    match file.len() {
        _ if !file.is_file() => Err(io::Error::other("it is not a file")),
        ..=MAX_FILE_BYTES => Ok(file),
        _ => Err(io::Error::other("it has more than 64 MiB")),
    }
}

fn login(raw: &RawLogin) -> LoginPolicy {
    let default = LoginPolicy::DEFAULT;
    LoginPolicy {
        deadline: raw.deadline.map_or(default.deadline, |span| span.0),
        max_attempts: raw
            .max_attempts
            .map_or(default.max_attempts, |count| count.0),
    }
}

fn budget(raw: &RawLogin) -> Option<BudgetPolicy> {
    let default = BudgetPolicy::DEFAULT;
    let max_failures = match raw.max_failures_per_address {
        Some(limit) => limit.value()?.0,
        None => default.max_failures,
    };
    Some(BudgetPolicy {
        max_failures,
        forgiven_after: raw
            .failure_forgiven_after
            .map_or(default.forgiven_after, |span| span.0),
    })
}

fn max_waiting_logins(source: &str, raw: &RawLogin) -> Result<NonZeroUsize, TomlError> {
    match raw.max_waiting_logins {
        Some(Count(count)) if count.get() > MAX_WAITING_LOGINS => {
            let problem = format!("write at most {MAX_WAITING_LOGINS}");
            Err(TomlError::at_key(
                source,
                "login.max_waiting_logins",
                problem,
            ))
        }
        Some(Count(count)) => Ok(count),
        None => Ok(HashingPolicy::MAX_WAITING),
    }
}

fn proxies(source: &str, raw: &RawConfig) -> Result<TrustedProxies, TomlError> {
    let networks = raw.trusted_proxies.iter().map(|network| {
        TrustedProxies::parse_network(network)
            .map_err(|error| TomlError::at_key(source, "trusted_proxies", error.to_string()))
    });
    let networks = networks.collect::<Result<Vec<_>, _>>()?;
    let field = match &raw.forwarded_field {
        Some(name) => name.parse().map_err(|error: ForwardedFieldError| {
            TomlError::at_key(source, "forwarded_field", error.to_string())
        })?,
        None => ForwardedField::default(),
    };
    Ok(TrustedProxies::new(networks, field))
}

fn admin(source: &str, raw: &RawConfig, directory: &Path) -> Result<Vec<AdminAddress>, TomlError> {
    let addresses = raw.admin.listen.iter().flat_map(OneOrMany::as_slice);
    let addresses = addresses.map(|address| {
        AdminAddress::parse(address, directory)
            .map_err(|error| TomlError::at_key(source, "admin.listen", error.to_string()))
    });
    addresses.collect()
}

fn log_level(source: &str, raw: &RawConfig) -> Result<LevelFilter, TomlError> {
    match raw.log_level.as_deref() {
        None | Some("info") => Ok(LevelFilter::INFO),
        Some("off") => Ok(LevelFilter::OFF),
        Some("error") => Ok(LevelFilter::ERROR),
        Some("warn") => Ok(LevelFilter::WARN),
        Some("debug") => Ok(LevelFilter::DEBUG),
        Some("trace") => Ok(LevelFilter::TRACE),
        Some(_) => {
            let problem = "write \"off\", \"error\", \"warn\", \"info\", \"debug\" or \"trace\"";
            Err(TomlError::at_key(source, "log_level", problem))
        }
    }
}

fn log_format(source: &str, raw: &RawConfig) -> Result<LogFormat, TomlError> {
    match raw.log_format.as_deref() {
        None | Some("text") => Ok(LogFormat::Text),
        Some("json") => Ok(LogFormat::Json),
        Some(_) => {
            let problem = "write \"text\" or \"json\"";
            Err(TomlError::at_key(source, "log_format", problem))
        }
    }
}

fn rules(source: &str, raw: &RawConfig, prefix: &str) -> Result<Rules, TomlError> {
    let basic = match raw.login.basic.as_deref() {
        None | Some("optional") => Basic::Optional,
        Some("required") => Basic::Required,
        Some("off") => Basic::Off,
        Some(_) => {
            let problem = "write \"optional\", \"required\" or \"off\"";
            return Err(TomlError::at_key(source, "login.basic", problem));
        }
    };
    let at_key = |key| move |problem: String| TomlError::at_key(source, key, problem);
    Ok(Rules {
        basic,
        page: raw.page.unwrap_or(true),
        allowed_origins: allowed_origins(&raw.allowed_origins)
            .map_err(at_key("allowed_origins"))?,
        subprotocols: subprotocols(&raw.subprotocols).map_err(at_key("subprotocols"))?,
        routes: route::routes(source, &raw.route, prefix)?,
    })
}

fn allowed_origins(origins: &[String]) -> Result<Vec<AllowedOrigin>, String> {
    let origins = origins.iter().map(|origin| {
        if origin == "null" {
            return Ok(AllowedOrigin::Null);
        }
        Origin::parse(origin)
            .map(AllowedOrigin::Of)
            .map_err(|error| error.to_string())
    });
    origins.collect()
}

fn subprotocols(names: &[String]) -> Result<Vec<String>, String> {
    if names.iter().all(|name| is_token(name)) {
        Ok(names.to_vec())
    } else {
        Err("a subprotocol is a token of letters, digits and !#$%&'*+-.^_`|~".to_owned())
    }
}

/// What an echo puts before its answers, unless it is too long.
fn prefix(prefix: &str) -> Result<&str, String> {
    if prefix.len() > MAX_PREFIX_BYTES {
        Err(format!("write at most {MAX_PREFIX_BYTES} bytes"))
    } else {
        Ok(prefix)
    }
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
        writeln!(f, "allow_insecure = {}", self.allow_insecure)?;
        let origins = self.rules.allowed_origins.iter().map(ToString::to_string);
        writeln!(f, "allowed_origins = [{}]", list(origins))?;
        writeln!(
            f,
            "subprotocols = [{}]",
            list(self.rules.subprotocols.iter().cloned())
        )?;
        writeln!(f, "trusted_proxies = {}", self.proxies)?;
        writeln!(f, "forwarded_field = \"{}\"", self.proxies.field())?;
        writeln!(f, "page = {}", self.rules.page)?;
        writeln!(f, "log_level = \"{}\"", self.log_level)?;
        writeln!(f, "log_format = \"{}\"", self.log_format)?;
        write_threads(f, "worker_threads", self.worker_threads)?;
        tls::write(self.tls.as_ref(), f)?;
        writeln!(f, "\n[admin]")?;
        let addresses = self.admin.iter().map(ToString::to_string);
        writeln!(f, "listen = [{}]", list(addresses))?;
        writeln!(f, "\n[login]")?;
        writeln!(f, "deadline = {}", TimeSpan(self.login.deadline))?;
        writeln!(f, "max_attempts = {}", Count(self.login.max_attempts))?;
        writeln!(f, "basic = \"{}\"", self.rules.basic)?;
        let budget = self.budget.unwrap_or(BudgetPolicy::DEFAULT);
        let max_failures = match self.budget {
            Some(budget) => Limit::At(Count(budget.max_failures)),
            None => Limit::Off,
        };
        writeln!(f, "max_failures_per_address = {max_failures}")?;
        let forgiven_after = TimeSpan(budget.forgiven_after);
        writeln!(f, "failure_forgiven_after = {forgiven_after}")?;
        write_threads(f, "hash_workers", self.hash_workers)?;
        let max_waiting = Count(self.max_waiting_logins);
        writeln!(f, "max_waiting_logins = {max_waiting}")?;
        writeln!(f, "\n[limits]")?;
        limits::write(&self.limits, f)?;
        write!(f, "\n[echo]\nprefix = {}\n", quoted(&self.echo_prefix))?;
        let mut routes = self.rules.routes.iter();
        if self.rules.routes.are_only_the_echo(&self.echo_prefix) {
            return Ok(());
        }
        routes.try_for_each(|route| route::write(route, f))
    }
}

fn write_threads(
    f: &mut fmt::Formatter<'_>,
    key: &str,
    threads: Option<NonZeroUsize>,
) -> fmt::Result {
    match threads {
        Some(threads) => writeln!(f, "{key} = {threads}"),
        None => writeln!(f, "# {key}: one for each core"),
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
