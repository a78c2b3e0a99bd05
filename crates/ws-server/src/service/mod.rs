//! What runs after the login.
//!
//! A service gets a [`Session`] and returns when that is over. It knows nothing of logins, limits or
//! Close frames. To add one: write its file with a struct and `async fn run`, give [`Service`] an
//! arm, and build it in [`Config`](crate::config::Config).

mod echo;

use std::convert::Infallible;

use tokio::io::{AsyncRead, AsyncWrite};

pub use self::echo::Echo;
use crate::session::{Ended, Session};

/// Every service there is.
#[derive(Debug, Clone)]
pub enum Service {
    /// Answers each message with itself.
    Echo(Echo),
}

impl Service {
    /// Serves a session until it is over, and tells why it is.
    pub async fn run<S>(&self, session: &mut Session<S>) -> Result<Infallible, Ended>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        match self {
            Self::Echo(echo) => echo.run(session).await,
        }
    }
}
