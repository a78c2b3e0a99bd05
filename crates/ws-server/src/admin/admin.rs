//! The admin server: accepts connections and serves their requests.

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

/// The deadline for a request head, and for the next request of a kept connection. Any local process
/// can take all slots without a word, so they must soon be free again for `/livez` and `/metrics`.
const HEAD_DEADLINE: Duration = Duration::from_secs(2);

/// The time after which a connection accepts no further request.
const MAX_CONNECTION_AGE: Duration = Duration::from_mins(1);

/// The deadline for the last response after that, so that a client that does not read frees its slot.
const RESPONSE_DEADLINE: Duration = Duration::from_secs(30);

/// The deadline for responses in progress once the server has ended.
const SHUTDOWN_DEADLINE: Duration = Duration::from_secs(1);

/// The admin server with its bound listeners.
#[derive(Debug)]
pub(crate) struct Admin {
    listeners: Vec<AdminListener>,
    tasks: TaskTracker,
    /// Cancelled when the server has ended.
    end: CancellationToken,
}

impl Admin {
    /// Binds all addresses.
    ///
    /// # Errors
    ///
    /// The first address that cannot be bound, with the cause.
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

    /// Returns the bound addresses, with the ports that the system chose.
    ///
    /// # Errors
    ///
    /// An item is an error if the system does not report the address.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = io::Result<AdminAddress>> {
        self.listeners.iter().map(AdminListener::address)
    }

    /// Serves requests until the future is dropped.
    pub(crate) async fn serve(&self, handler: AdminHandler) -> Infallible {
        let handler = Arc::new(handler);
        join_all(
            self.listeners
                .iter()
                .map(|it| self.accept_all(it, &handler)),
        )
        .await;
        // Only without a listener.
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
            let slot = slot.expect("the semaphore is never closed");
            let (io, peer) = listener.accept().await;
            let serve = serve(io, peer, Arc::clone(handler), self.end.clone(), slot);
            self.tasks.spawn(serve);
        }
    }

    /// Ends the server after the responses in progress, or after [`SHUTDOWN_DEADLINE`].
    pub(crate) async fn finish(&self) {
        self.end.cancel();
        self.tasks.close();
        // A client that has not read its response by then is dropped.
        let _ = timeout(SHUTDOWN_DEADLINE, self.tasks.wait()).await;
    }
}

/// An admin address that cannot be bound.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on the [admin] address {address}")]
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
    // The end of the server or the maximum age, whichever is first.
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
        Ok(Err(error)) => debug!(%error, "admin connection failed"),
        Err(_) => debug!("admin response not read in time; connection closed"),
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

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
    async fn silent_client_frees_its_slot() {
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
        for (sent, deadline) in [
            ("", HEAD_DEADLINE),
            ("GET /livez HTTP/1.1\r\n", HEAD_DEADLINE),
            (
                "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n",
                MAX_CONNECTION_AGE + RESPONSE_DEADLINE,
            ),
        ] {
            let slot = Arc::new(Semaphore::new(1));
            let taken = Arc::clone(&slot).acquire_owned().await.unwrap();
            let (mut client, io) = duplex(64);
            client.write_all(sent.as_bytes()).await.unwrap();
            let handler = Arc::clone(&handler);
            tasks.spawn(serve(io, AdminPeer::Tcp, handler, end.clone(), taken));
            // The client reads nothing.
            let free = timeout(deadline + Duration::from_millis(10), slot.acquire()).await;
            assert!(free.is_ok(), "{sent}");
        }
    }
}
