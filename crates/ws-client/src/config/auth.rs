//! The login methods.

use std::fmt;

/// The login method.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Auth {
    /// Credentials are the first message, and the server answers it.
    #[default]
    Message,
    /// Credentials are in the handshake (HTTP Basic); the open connection is the login.
    Basic,
    /// A token is in the handshake (HTTP Bearer); the open connection is the login.
    Bearer,
    /// No credentials, for a server without a login.
    None,
}

impl fmt::Display for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Message => "message",
            Self::Basic => "basic",
            Self::Bearer => "bearer",
            Self::None => "none",
        })
    }
}
