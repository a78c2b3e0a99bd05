//! The errors of a configuration.

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use proto::{config::TomlError, credentials::TicketSecretsError, text::EncodingError};

use crate::tls::TlsError;

/// A problem with a file.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The content of the file cannot be used.
    #[error("{}: {problem}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// The problem, its place, and what to do.
        problem: Problem,
    },
    /// A private key is readable or writable by users other than its owner and group.
    #[error(
        "{0}: every user of this machine can read or change this private key (mode {mode:04o}): \
         run `chmod o= {0}`",
        path.display()
    )]
    KeyWorldReadable {
        /// The file.
        path: PathBuf,
        /// The permission bits of its mode.
        mode: u32,
    },
    /// The secret of tickets is readable or writable by users other than its owner.
    #[error(
        "{0}: users other than its owner can read or change this secret (mode {mode:04o}): run \
         `chmod go= {0}`",
        path.display()
    )]
    TicketSecretReadable {
        /// The file.
        path: PathBuf,
        /// The permission bits of its mode.
        mode: u32,
    },
    /// A secret is readable or writable by users other than its owner and group.
    #[error(
        "{0}: every user of this machine can read or change this secret (mode {mode:04o}): run \
         `chmod o= {0}`",
        path.display()
    )]
    SecretWorldReadable {
        /// The file.
        path: PathBuf,
        /// The permission bits of its mode.
        mode: u32,
    },
}

impl ConfigError {
    pub(super) fn read(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        Self::Read { path, source }
    }

    pub(super) fn content(path: &Path, problem: impl Into<Problem>) -> Self {
        Self::Content {
            path: path.to_owned(),
            problem: problem.into(),
        }
    }
}

/// A problem with the content of a file.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub enum Problem {
    /// A configuration or the accounts cannot be used.
    Toml(#[from] TomlError),
    /// A text file is not UTF-8.
    Encoding(#[from] EncodingError),
    /// The secret of tickets cannot be used.
    TicketSecrets(#[from] TicketSecretsError),
    /// A certificate or a private key cannot be used.
    Tls(#[from] TlsError),
    /// The configuration is not fit for a server that other machines can reach.
    Exposed(#[from] ExposedError),
}

/// A server that other machines can reach, and that is not fit for it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExposedError {
    /// Connections are not encrypted, and `allow_insecure` is not set.
    #[error(
        "other machines can reach {listen}, and passwords would be sent unencrypted: write certificate \
         and private_key under [tls], or allow_insecure = true behind a proxy that encrypts"
    )]
    Insecure {
        /// The address.
        listen: SocketAddr,
    },
    /// The development account exists, whose password is public.
    #[error(
        "other machines can reach {listen}, and the account `admin` has its development password, \
         which is public: give it a password_hash from `ws-server hash-password`"
    )]
    DevelopmentAccount {
        /// The address.
        listen: SocketAddr,
    },
}
