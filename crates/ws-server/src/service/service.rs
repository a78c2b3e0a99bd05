//! All services, as one type.

use std::{convert::Infallible, sync::Arc};

use serde::Serialize;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::{
    service::{Echo, Hub, Room},
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

    /// Publishes the body of a `POST` request.
    pub(crate) fn publish(&self, hub: &Hub, path: &Arc<str>, from: &str, text: &str) {
        match self {
            // Unreachable: `accepts_posts` is false.
            Self::Echo(_) => {}
            Self::Room(room) => room.publish(hub, path, from, text),
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
