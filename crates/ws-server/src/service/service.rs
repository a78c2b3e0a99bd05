//! What runs after the login.
//!
//! A service gets a [`Session`] and returns when that is over. It knows nothing of logins, limits or
//! Close frames. To add one:
//!
//! 1. Write its file here: a struct of its options, and `async fn run` that receives and sends until
//!    the session is over. [`echo`](Echo) is the shortest example.
//! 2. Give [`Service`] an arm, and each `match` on it, which the compiler finds.
//! 3. Have `config/route.rs` read its options, and write them.
//! 4. Test it over one end of a duplex, as `tests/room.rs` does, and name it in the README.
//!
//! A service that sends unasked takes the session's [`outbox`](Session::outbox) and hands it to
//! whoever has something to say, as [`room`](Room) does.

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
