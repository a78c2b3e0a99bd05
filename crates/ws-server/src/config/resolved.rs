//! The configuration as the server runs on it.

use std::{
    net::SocketAddr,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    thread,
};

use proto::{config::TomlError, credentials::Accounts, login::LoginPolicy};
use tracing_subscriber::filter::LevelFilter;

use crate::{
    admission::BudgetPolicy,
    auth::HashingPolicy,
    config::{admin::AdminAddress, route, tables::ConfigTables, tls::TlsFiles},
    handshake::HandshakePolicy,
    limits::Limits,
    log::LogFormat,
    peer::TrustedProxies,
    settings::Settings,
};

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
    pub handshake: HandshakePolicy,
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
    pub max_queued_logins: NonZeroUsize,
    /// What bounds each connection, and all of them together.
    pub limits: Limits,
}

impl Config {
    /// Reads what a file says. Relative paths start from its directory.
    #[cfg(test)]
    pub(crate) fn resolve(source: &str, directory: &Path) -> Result<Self, TomlError> {
        Self::of(&ConfigTables::parse(source, directory)?, source)
    }

    /// Returns what the tables say, if it fits together. `source` is the file that errors refer to.
    pub(super) fn of(tables: &ConfigTables, source: &str) -> Result<Self, TomlError> {
        let networks = tables.trusted_proxies.0.iter().map(|network| network.0);
        Ok(Self {
            listen: tables.listen,
            credentials: tables.credentials.0.clone(),
            tls: tables.tls.files(source)?,
            allow_insecure: tables.allow_insecure,
            handshake: HandshakePolicy {
                basic: tables.login.basic,
                page: tables.page,
                allowed_origins: tables.allowed_origins.0.clone(),
                subprotocols: tables.subprotocols.0.clone(),
                routes: route::routes(&tables.route, source, &tables.echo.prefix)?,
            },
            proxies: TrustedProxies::new(networks, tables.forwarded_header.0),
            admin: tables.admin.listen.0.clone(),
            log_level: tables.log_level.into(),
            log_format: tables.log_format,
            worker_threads: tables.worker_threads.map(|threads| threads.0),
            login: tables.login.policy(),
            budget: tables.login.budget(),
            hash_workers: tables.login.hash_workers.map(|threads| threads.0),
            max_queued_logins: tables.login.max_queued_logins.0,
            limits: tables.limits.limits(source)?,
        })
    }

    /// Returns the files that it names.
    pub(super) fn named_files(&self) -> Vec<PathBuf> {
        let mut files = vec![self.credentials.clone()];
        if let Some(tls) = &self.tls {
            files.extend([tls.certificate.clone(), tls.private_key.clone()]);
        }
        files
    }

    /// Returns how much is hashed at the same time.
    pub(crate) fn hashing(&self) -> HashingPolicy {
        HashingPolicy {
            workers: self
                .hash_workers
                .or_else(|| thread::available_parallelism().ok())
                .unwrap_or(NonZeroUsize::MIN),
            max_queued: self.max_queued_logins,
        }
    }

    /// Returns the settings of a server with these accounts.
    pub(crate) fn into_settings(self, accounts: Accounts) -> Settings {
        Settings::new(
            self.handshake,
            self.proxies,
            self.login,
            self.limits,
            accounts,
        )
    }
}

impl Default for Config {
    /// Returns what an empty file in the current directory says.
    fn default() -> Self {
        let tables = ConfigTables::of_empty_file(Path::new(""));
        Self::of(&tables, "").expect("the defaults fit each other")
    }
}
