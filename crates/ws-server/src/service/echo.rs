//! The echo service: returns each text with a prefix, and each binary message unchanged.

use std::convert::Infallible;

use serde::Serialize;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::session::{Ended, Message, Session};

/// The echo service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Echo {
    prefix: String,
}

impl Echo {
    /// Creates an echo with a prefix for texts, which may be empty.
    pub fn new(prefix: &str) -> Self {
        Self {
            prefix: prefix.into(),
        }
    }

    /// Returns the prefix.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Echoes messages in order until the session ends.
    ///
    /// # Errors
    ///
    /// The reason for the end of the session. There is no other result.
    pub async fn run<S>(&self, session: &mut Session<S>) -> Result<Infallible, Ended>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        loop {
            match session.recv().await? {
                Message::Text(text) => session.send_joined(&self.prefix, text).await?,
                Message::Binary(bytes) => session.send(bytes).await?,
            }
        }
    }
}
