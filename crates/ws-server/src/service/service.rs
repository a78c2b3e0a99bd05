//! All services, as one type.

use std::{convert::Infallible, sync::Arc};

use tokio::io::{AsyncRead, AsyncWrite};

use crate::{
    service::{Echo, Hub, Room},
    session::{Ended, Session},
};

/// Every service there is.
#[derive(Debug, Clone)]
pub enum Service {
    /// Answers each message with itself.
    Echo(Echo),
    /// Tells each message to everybody on the path.
    Room(Room),
}

impl Service {
    /// Whether a message may come as the body of a request as well.
    pub(crate) fn accepts_posts(&self) -> bool {
        match self {
            Self::Echo(_) => false,
            Self::Room(_) => true,
        }
    }

    /// Takes a message that came as the body of a request.
    pub(crate) fn publish(&self, hub: &Hub, path: &Arc<str>, from: &str, text: &str) {
        match self {
            // It says that it takes none.
            Self::Echo(_) => {}
            Self::Room(room) => room.publish(hub, path, from, text),
        }
    }

    /// Serves a session until it is over, and tells why it is.
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
            // Boxed, so that the sessions of other services do not carry the room for it.
            Self::Room(room) => Box::pin(room.run(session, hub)).await,
        }
    }
}
