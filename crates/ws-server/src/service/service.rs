//! All services, as one type.

use std::{convert::Infallible, sync::Arc};

use proto::close::CloseReason;
use serde::{Serialize, Serializer};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::{
    service::{BackedService, Echo, Hub, NotPublished, Publisher, Room},
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
    /// A service whose sessions have a backend.
    Backed(#[serde(serialize_with = "serialize_shared")] Arc<BackedService>),
}

fn serialize_shared<T: Serialize, S: Serializer>(
    shared: &Arc<T>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    shared.as_ref().serialize(serializer)
}

impl Service {
    /// Returns true if the service also accepts messages as bodies of `POST` requests.
    pub(crate) fn accepts_posts(&self) -> bool {
        match self {
            Self::Echo(_) | Self::Backed(_) => false,
            Self::Room(_) => true,
        }
    }

    /// Returns true if the service waits for a session whose socket accepts bytes, and ends one whose
    /// socket does not.
    pub(crate) fn waits_for_readers(&self) -> bool {
        match self {
            Self::Echo(_) | Self::Backed(_) => false,
            Self::Room(_) => true,
        }
    }

    /// Returns true if the service accepts binary messages.
    pub(crate) fn accepts_binary(&self) -> bool {
        match self {
            Self::Echo(_) | Self::Backed(_) => true,
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
            Self::Echo(_) | Self::Backed(_) => Ok(()),
            Self::Room(room) => {
                room.publish(hub, path, from, text, max_bytes, publisher)
                    .await
            }
        }
    }

    /// Returns the greatest number of descriptors of a session.
    pub(crate) fn descriptors(&self) -> usize {
        match self {
            Self::Echo(_) | Self::Room(_) => 1,
            Self::Backed(service) => 1 + service.descriptors(),
        }
    }

    /// Runs the service for a session until it ends. A [`BackedService`] is run by its `Backend`
    /// instead.
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
            // Unreachable: the session has a backend.
            Self::Backed(_) => Err(Ended::ByUs(CloseReason::Internal)),
        }
    }
}
