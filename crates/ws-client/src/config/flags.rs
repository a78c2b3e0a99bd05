//! The values of the command line.

use std::{num::NonZeroUsize, path::PathBuf};

use proto::config::{Size, TimeSpan};

use super::{
    auth::Auth, error::ConfigError, linger::Linger, password_command::PasswordCommand,
    ping::PingInterval,
};
use crate::{
    console::{Detail, Output, Records, Words},
    endpoint::{Endpoint, Scheme},
    handshake::{Origin, Subprotocol},
    tls::Trust,
};

/// The values of the command line. The file supplies missing ones.
#[derive(Debug, Default)]
pub struct Flags {
    /// The URL, unchecked.
    pub url: Option<String>,
    /// The configuration file.
    pub config: Option<PathBuf>,
    /// See [`Config::auth`](crate::config::Config::auth).
    pub auth: Option<Auth>,
    /// The user to log in as.
    pub user: Option<String>,
    /// The source of that user's password.
    pub password: Option<PasswordSource>,
    /// The file with a bearer token.
    pub bearer_file: Option<PathBuf>,
    /// The silence of [`Goal::AllAnswered`](super::Goal::AllAnswered), or [`Goal::Stay`](super::Goal::Stay).
    pub linger: Option<Linger>,
    /// The number of [`Goal::Count`](super::Goal::Count).
    pub count: Option<NonZeroUsize>,
    /// See [`Config::timeout`](crate::config::Config::timeout).
    pub timeout: Option<TimeSpan>,
    /// See [`Config::pings`](crate::config::Config::pings).
    pub ping_interval: Option<PingInterval>,
    /// See [`PingTimes::timeout`](super::PingTimes::timeout).
    pub pong_timeout: Option<TimeSpan>,
    /// See [`Config::connect_deadline`](crate::config::Config::connect_deadline).
    pub connect_deadline: Option<TimeSpan>,
    /// See [`Config::close_deadline`](crate::config::Config::close_deadline).
    pub close_deadline: Option<TimeSpan>,
    /// See [`Config::max_message_bytes`](crate::config::Config::max_message_bytes).
    pub max_message_bytes: Option<Size>,
    /// See [`Config::origin`](crate::config::Config::origin).
    pub origin: Option<Origin>,
    /// The subprotocols to offer.
    pub subprotocols: Vec<Subprotocol>,
    /// The header fields to add, or `@` and a file of them, unchecked.
    pub headers: Vec<String>,
    /// The permission to send a password unencrypted over a network.
    pub cleartext: Cleartext,
    /// The source of trust in certificates.
    pub trust: Option<Trust>,
    /// See [`Config::words`](crate::config::Config::words).
    pub words: Words,
    /// See [`Config::records`](crate::config::Config::records).
    pub records: Records,
    /// See [`Config::output`](crate::config::Config::output).
    pub output: Output,
    /// See [`Config::detail`](crate::config::Config::detail).
    pub detail: Detail,
    /// See [`Config::log`](crate::config::Config::log).
    pub log: Option<PathBuf>,
}

/// The source of a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PasswordSource {
    /// A file whose only line is the password.
    File(PathBuf),
    /// The first line of stdin.
    Stdin,
    /// A command whose first line of output is the password.
    Command(PasswordCommand),
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

impl Cleartext {
    /// Returns the permission that `--allow-insecure` gives.
    pub(crate) fn new(is_flag_set: bool) -> Self {
        if is_flag_set {
            Self::Allowed
        } else {
            Self::Refused
        }
    }

    /// Checks that the secret of a login method may be sent to a server.
    ///
    /// # Errors
    ///
    /// As for [`Self::check`].
    pub(super) fn check_login(self, endpoint: &Endpoint, auth: Auth) -> Result<(), ConfigError> {
        match auth {
            Auth::None => Ok(()),
            Auth::Bearer => self.check(endpoint, ConfigError::CleartextBearer),
            Auth::Message | Auth::Basic => self.check(endpoint, ConfigError::Cleartext),
        }
    }

    /// Checks that a secret may be sent to a server.
    ///
    /// # Errors
    ///
    /// The secret would be sent unencrypted over a network without permission. `error` is called with
    /// the host and port.
    pub(crate) fn check(
        self,
        endpoint: &Endpoint,
        error: impl FnOnce(String) -> ConfigError,
    ) -> Result<(), ConfigError> {
        let readable = endpoint.scheme() == Scheme::Ws && !endpoint.is_loopback();
        if readable && self == Self::Refused {
            return Err(error(endpoint.authority()));
        }
        Ok(())
    }
}
