//! Answers each message with itself: a text behind a prefix, binary as it came.

use std::{convert::Infallible, sync::Arc};

use tokio::io::{AsyncRead, AsyncWrite};

use crate::session::{Ended, Message, Session};

/// The echo service.
#[derive(Debug, Clone)]
pub struct Echo {
    prefix: Arc<str>,
}

impl Echo {
    /// An echo that puts a prefix, which may be empty, before each text.
    pub fn new(prefix: &str) -> Self {
        Self {
            prefix: prefix.into(),
        }
    }

    /// What stands before each text.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Echoes, in order, until the session is over.
    pub async fn run<S>(&self, session: &mut Session<S>) -> Result<Infallible, Ended>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        loop {
            match session.recv().await? {
                Message::Text(text) => {
                    // One allocation; `format!` would cost half as much again.
                    let mut answer = String::with_capacity(self.prefix.len() + text.len());
                    answer.push_str(&self.prefix);
                    answer.push_str(&text);
                    session.send(answer).await?;
                }
                Message::Binary(bytes) => session.send(bytes).await?,
            }
        }
    }
}
