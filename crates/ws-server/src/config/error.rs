//! Why a configuration cannot be used.

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use proto::config::TomlError;

use crate::tls::TlsError;

/// What is wrong with which file.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The file does not say what it must.
    #[error("{}: {problem}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong, where, and what to write.
        problem: TomlError,
    },
    /// The file of a certificate or a private key does not have what it must.
    #[error("{}: {problem}", path.display())]
    Tls {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what to do.
        problem: TlsError,
    },
    /// Others than the server and its group may read a private key, or write to it.
    #[error(
        "{0}: everybody on this machine may read it or write to it (its mode is {mode:04o}), and \
         it is a private key: run `chmod o= {0}`",
        path.display()
    )]
    KeyWorldReadable {
        /// The file.
        path: PathBuf,
        /// What is allowed to whom.
        mode: u32,
    },
    /// The files are not fit for a server that others can reach.
    #[error("{}: {problem}", path.display())]
    Exposed {
        /// The file that says it.
        path: PathBuf,
        /// What is wrong, and what to do.
        problem: ExposedError,
    },
}

impl ConfigError {
    pub(super) fn read(path: &Path, source: io::Error) -> Self {
        Self::Read {
            path: path.to_owned(),
            source,
        }
    }

    pub(super) fn content(path: &Path, problem: TomlError) -> Self {
        Self::Content {
            path: path.to_owned(),
            problem,
        }
    }

    pub(super) fn tls(path: &Path, problem: TlsError) -> Self {
        Self::Tls {
            path: path.to_owned(),
            problem,
        }
    }

    pub(super) fn exposed(path: &Path, problem: ExposedError) -> Self {
        Self::Exposed {
            path: path.to_owned(),
            problem,
        }
    }
}

/// Others could reach a server that is not fit for it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExposedError {
    /// Nothing is encrypted, and nobody said that this is so on purpose.
    #[error(
        "others can reach {listen}, and nothing is encrypted, passwords neither: write certificate \
         and private_key under [tls], or allow_insecure = true if something else encrypts"
    )]
    Insecure {
        /// The address.
        listen: SocketAddr,
    },
    /// Everybody could log in.
    #[error(
        "others can reach {listen}, and the account `admin` has its development password, which \
         everybody knows: give it a password_hash made by `ws-server hash-password`"
    )]
    DevelopmentAccount {
        /// The address.
        listen: SocketAddr,
    },
}
