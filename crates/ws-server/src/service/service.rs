//! All services, as one type.

use std::{convert::Infallible, sync::Arc};

use serde::Serialize;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::{
    service::{Echo, Hub, NotPublished, Publisher, Room},
    session::{Ended, Session},
};

/// A service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Service {
    /// The echo.
    Echo(Echo),
    /// The room.
    Room(Room),
}

impl Service {
    /// Returns true if the service also accepts messages as bodies of `POST` requests.
    pub(crate) fn accepts_posts(&self) -> bool {
        match self {
            Self::Echo(_) => false,
            Self::Room(_) => true,
        }
    }

    /// Returns true if the service waits for a session whose socket accepts bytes, and ends one whose
    /// socket does not.
    pub(crate) fn waits_for_readers(&self) -> bool {
        match self {
            Self::Echo(_) => false,
            Self::Room(_) => true,
        }
    }

    /// Returns true if the service accepts binary messages.
    pub(crate) fn accepts_binary(&self) -> bool {
        match self {
            Self::Echo(_) => true,
            Self::Room(_) => false,
        }
    }

    /// Publishes the body of a `POST` request, or a text of an operator, if its written form has at most
    /// `max_bytes` besides what the service adds.
    ///
    /// # Errors
    ///
    /// The reason why it was not published.
    pub(crate) async fn publish(
        &self,
        hub: &Hub,
        path: &Arc<str>,
        from: &str,
        text: &str,
        max_bytes: usize,
        publisher: impl Publisher + 'static,
    ) -> Result<(), NotPublished> {
        match self {
            // Unreachable: `accepts_posts` is false.
            Self::Echo(_) => Ok(()),
            Self::Room(room) => {
                room.publish(hub, path, from, text, max_bytes, publisher)
                    .await
            }
        }
    }

    /// Runs the service for a session until it ends.
    ///
    /// # Errors
    ///
    /// The reason for the end of the session. There is no other result.
    pub async fn run<S>(
        &self,
        session: &mut Session<S>,
        hub: &Arc<Hub>,
    ) -> Result<Infallible, Ended>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        match self {
            Self::Echo(echo) => echo.run(session).await,
            // Boxed, so that sessions of other services do not reserve memory for it.
            Self::Room(room) => Box::pin(room.run(session, hub)).await,
        }
    }
}
