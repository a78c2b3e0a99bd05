//! The log lines at start-up: files, development account, encryption and password hashes.

use std::{net::SocketAddr, path::PathBuf};

use proto::{credentials::WorldAccessible, escape::Escaped, password::HashCost, plural::plural};
use tracing::{info, warn};

use crate::{
    config::{self, Config, ConfigSource, LoadedConfig},
    tls::{CertificateFlaw, Tls},
};

/// The encryption of connections.
enum Encryption {
    /// TLS is on.
    Tls,
    /// No TLS, and only this machine can connect.
    NotNeeded,
    /// No TLS, and other machines can connect.
    Missing,
}

impl Encryption {
    fn of(config: &Config) -> Self {
        match config.tls.certificate {
            Some(_) => Self::Tls,
            None if config::is_exposed(config.listen) => Self::Missing,
            None => Self::NotNeeded,
        }
    }
}

/// The notices that the server logs when it starts.
pub(crate) struct StartupNotices {
    config: PathBuf,
    credentials: PathBuf,
    /// The number of users.
    pub(crate) users: usize,
    plain_password_count: usize,
    has_weak_hashes: bool,
    has_development_account: bool,
    encryption: Encryption,
    certificate_flaw: Option<CertificateFlaw>,
    world_accessible: Option<WorldAccessible>,
    /// The address of the page for browsers, unless the system chooses the port.
    page: Option<SocketAddr>,
}

impl StartupNotices {
    /// Collects the notices for a server with this configuration.
    pub(crate) fn new(
        source: &ConfigSource,
        LoadedConfig {
            config,
            accounts,
            tls,
            world_accessible,
        }: &LoadedConfig,
    ) -> Self {
        Self {
            config: source.path.clone(),
            credentials: config.credentials.clone(),
            users: accounts.users().len(),
            plain_password_count: accounts.plain_password_count(),
            has_weak_hashes: accounts.costs().any(HashCost::is_weak),
            has_development_account: config::have_development_account(accounts),
            encryption: Encryption::of(config),
            certificate_flaw: tls.as_ref().and_then(Tls::flaw),
            world_accessible: world_accessible.clone(),
            page: Some(config.listen).filter(|listen| config.page && listen.port() != 0),
        }
    }

    /// Logs the notices.
    pub(crate) fn log(self) {
        info!(
            "read {} and {} with {}",
            Escaped(&self.config.to_string_lossy()),
            Escaped(&self.credentials.to_string_lossy()),
            plural(self.users, "user", "users")
        );
        if self.has_development_account {
            warn!(
                "the account `admin` has its development password, which is public: \
                 replace it before other machines can reach this server"
            );
            match self.encryption {
                // The client may not trust the certificate, so no `ws-client` command is printed.
                Encryption::Tls => {
                    if let Some(address) = self.page {
                        info!("to try it, open https://{address}/ in a browser");
                    }
                }
                Encryption::NotNeeded | Encryption::Missing => {
                    info!("to try it, run `cargo run -p ws-client` in another terminal");
                    if let Some(address) = self.page {
                        info!("or open http://{address}/ in a browser");
                    }
                }
            }
        }
        if matches!(self.encryption, Encryption::Missing) {
            warn!(
                "other machines can reach this server without TLS, so passwords are sent unencrypted: \
                 use allow_insecure only behind a proxy that terminates TLS"
            );
        }
        if let Some(flaw) = self.certificate_flaw {
            warn!("{flaw}");
        }
        if let Some(flaw) = self.world_accessible {
            warn!("{}", Escaped(&flaw.to_string()));
        }
        if self.plain_password_count > 0 {
            warn!(
                "{} a plain password: replace it with a password_hash from `ws-server hash-password`",
                plural(self.plain_password_count, "user has", "users have")
            );
        }
        if self.has_weak_hashes {
            warn!(
                "a password_hash is cheaper to attack than OWASP recommends: \
                 replace it with one from `ws-server hash-password`"
            );
        }
    }
}
