//! The operator's interface, listening: accepts connections, and answers their requests.

use std::{convert::Infallible, future::pending, io, pin::pin, sync::Arc, time::Duration};

use futures::future::{Either, join_all, select};
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::debug;

use crate::{
    admin::{
        listener::{AdminListener, AdminPeer},
        routes::AdminHandler,
    },
    config::AdminAddress,
    process::descriptors::MAX_ADMIN_CONNECTIONS,
};

/// How long a client may take for the head of a request. A connection that is kept for the next one
/// ends after that time as well.
const HEAD_DEADLINE: Duration = Duration::from_secs(30);

/// How long a connection is kept for further requests, however soon they follow.
const MAX_CONNECTION_AGE: Duration = Duration::from_mins(1);

/// How long the last answer of a connection may take then. Whoever does not read it does not hold a
/// place for ever.
const RESPONSE_DEADLINE: Duration = Duration::from_secs(30);

/// How long an answer that was begun may take once the server has ended.
const SHUTDOWN_DEADLINE: Duration = Duration::from_secs(1);

/// The interface, listening.
#[derive(Debug)]
pub(crate) struct Admin {
    listeners: Vec<AdminListener>,
    tasks: TaskTracker,
    /// Cancelled when the server has ended.
    end: CancellationToken,
}

impl Admin {
    /// Listens on these addresses. An error names the one that it is about.
    pub(crate) fn bind(addresses: &[AdminAddress]) -> Result<Self, AdminBindError> {
        let listeners = addresses.iter().map(|address| {
            AdminListener::bind(address).map_err(|source| AdminBindError {
                address: address.clone(),
                source,
            })
        });
        Ok(Self {
            listeners: listeners.collect::<Result<_, _>>()?,
            tasks: TaskTracker::new(),
            end: CancellationToken::new(),
        })
    }

    /// Where it listens. A port that was left to the system is known here.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = io::Result<AdminAddress>> {
        self.listeners.iter().map(AdminListener::address)
    }

    /// Answers requests for good.
    pub(crate) async fn serve(&self, handler: AdminHandler) -> Infallible {
        let handler = Arc::new(handler);
        join_all(
            self.listeners
                .iter()
                .map(|it| self.accept_all(it, &handler)),
        )
        .await;
        // There is no listener.
        pending().await
    }

    async fn accept_all(
        &self,
        listener: &AdminListener,
        handler: &Arc<AdminHandler>,
    ) -> Infallible {
        let slots = Arc::new(Semaphore::new(MAX_ADMIN_CONNECTIONS));
        loop {
            let slot = Arc::clone(&slots).acquire_owned().await;
            let slot = slot.expect("the places are never closed");
            let (io, peer) = listener.accept().await;
            let serve = serve(io, peer, Arc::clone(handler), self.end.clone(), slot);
            self.tasks.spawn(serve);
        }
    }

    /// Ends it, after the answers that were begun.
    pub(crate) async fn finish(&self) {
        self.end.cancel();
        self.tasks.close();
        // Whoever does not read its answer by then does without.
        let _ = timeout(SHUTDOWN_DEADLINE, self.tasks.wait()).await;
    }
}

/// An address on which nobody can listen.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} for the operator, as [admin] says")]
pub(crate) struct AdminBindError {
    address: AdminAddress,
    source: io::Error,
}

async fn serve<S>(
    io: S,
    peer: AdminPeer,
    handler: Arc<AdminHandler>,
    end: CancellationToken,
    _slot: OwnedSemaphorePermit,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(|request| {
        let response = handler.handle(request, peer);
        async { Ok::<_, Infallible>(response.await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_DEADLINE)
        .serve_connection(TokioIo::new(io), service);
    let mut connection = pin!(connection);
    // Whichever comes first: the end of the server, or its own.
    let last = timeout(MAX_CONNECTION_AGE, end.cancelled());
    let served = match select(connection.as_mut(), pin!(last)).await {
        Either::Left((served, _)) => Ok(served),
        Either::Right(_) => {
            connection.as_mut().graceful_shutdown();
            timeout(RESPONSE_DEADLINE, connection).await
        }
    };
    match served {
        Ok(Ok(())) => {}
        Ok(Err(error)) => debug!(%error, "a request to the operator's interface broke off"),
        Err(_) => debug!("an answer of the operator's interface was not read"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proto::credentials::Accounts;
    use tokio::{
        io::{AsyncWriteExt as _, duplex},
        sync::Semaphore,
        time::timeout,
    };
    use tokio_util::{sync::CancellationToken, task::TaskTracker};

    use super::{
        AdminHandler, AdminPeer, HEAD_DEADLINE, MAX_CONNECTION_AGE, RESPONSE_DEADLINE, serve,
    };
    use crate::{
        config::Config,
        log::LostLines,
        reload::ReloadHandle,
        server::{ServerHandle, ServerState},
    };

    #[tokio::test(start_paused = true)]
    async fn nobody_holds_a_place_for_ever() {
        let accounts = Accounts::from_toml("[[user]]\nname = \"admin\"\npassword = \"1\"");
        let state = ServerState::new(Config::default(), accounts.unwrap());
        let handle = ServerHandle::new(None, Arc::new(state));
        let (end, tasks) = (CancellationToken::new(), TaskTracker::new());
        let handler = Arc::new(AdminHandler::new(
            handle,
            ReloadHandle::disconnected(),
            LostLines::default(),
            end.clone(),
        ));
        for said in ["", "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"] {
            let slot = Arc::new(Semaphore::new(1));
            let taken = Arc::clone(&slot).acquire_owned().await.unwrap();
            let (mut client, io) = duplex(64);
            client.write_all(said.as_bytes()).await.unwrap();
            let handler = Arc::clone(&handler);
            tasks.spawn(serve(io, AdminPeer::Tcp, handler, end.clone(), taken));
            // It reads nothing.
            let free = timeout(
                HEAD_DEADLINE + MAX_CONNECTION_AGE + RESPONSE_DEADLINE,
                slot.acquire(),
            )
            .await;
            assert!(free.is_ok(), "{said}");
        }
    }
}
