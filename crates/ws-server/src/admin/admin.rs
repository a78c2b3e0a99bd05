//! The admin server: accepts connections and serves their requests.

use std::{convert::Infallible, future::pending, io, pin::pin, sync::Arc, time::Duration};

use futures::future::{Either, join_all, select};
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::debug;

use crate::{
    admin::{
        listener::{AdminListener, AdminPeer},
        routes::AdminHandler,
        slots::{Slot, Slots},
    },
    config::AdminAddress,
    process::descriptors::MAX_ADMIN_CONNECTIONS,
};

/// The deadline for a request head, and for the next request of a kept connection. If all slots are
/// taken, a silent connection gives way earlier.
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
        // One more connection is accepted and waits for a slot.
        let slots = Slots::new(MAX_ADMIN_CONNECTIONS - 1);
        loop {
            let (io, peer) = listener.accept().await;
            let slot = slots.take().await;
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
    slot: Slot,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    tokio::select! {
        biased;
        () = serve_requests(io, peer, handler, end, &slot) => {}
        () = slot.evicted() => debug!("idle admin connection closed: another one needs its slot"),
    }
}

/// Serves the requests of a connection.
async fn serve_requests<S>(
    io: S,
    peer: AdminPeer,
    handler: Arc<AdminHandler>,
    end: CancellationToken,
    slot: &Slot,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(|request| {
        slot.begin_request();
        let response = handler.handle(request, peer);
        async {
            let response = response.await;
            slot.end_request();
            Ok::<_, Infallible>(response)
        }
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
        io::{AsyncReadExt as _, AsyncWriteExt as _, duplex},
        net::TcpStream,
        task::JoinSet,
        time::{Instant, timeout},
    };
    use tokio_util::{sync::CancellationToken, task::TaskTracker};

    use super::{
        Admin, AdminHandler, AdminPeer, HEAD_DEADLINE, MAX_CONNECTION_AGE, RESPONSE_DEADLINE,
        Slots, serve,
    };
    use crate::{
        config::{AdminAddress, Config},
        log::LostLines,
        reload::ReloadHandle,
        server::{ServerHandle, ServerState},
    };

    fn handler(end: &CancellationToken) -> AdminHandler {
        let accounts = Accounts::from_toml("[[user]]\nname = \"admin\"\npassword = \"1\"");
        let state = ServerState::new(Config::default(), accounts.unwrap());
        let handle = ServerHandle::new(None, Arc::new(state));
        let (reloads, lost) = (ReloadHandle::disconnected(), LostLines::default());
        AdminHandler::new(handle, reloads, lost, end.clone())
    }

    #[tokio::test(start_paused = true)]
    async fn silent_client_frees_its_slot() {
        let (end, tasks) = (CancellationToken::new(), TaskTracker::new());
        let handler = Arc::new(handler(&end));
        for (sent, deadline) in [
            ("", HEAD_DEADLINE),
            ("GET /livez HTTP/1.1\r\n", HEAD_DEADLINE),
            (
                "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n",
                MAX_CONNECTION_AGE + RESPONSE_DEADLINE,
            ),
        ] {
            let (connected, free) = tokio::sync::oneshot::channel();
            let slot = Slots::new(1).take().await;
            let (mut client, io) = duplex(64);
            client.write_all(sent.as_bytes()).await.unwrap();
            let handler = Arc::clone(&handler);
            let end = end.clone();
            tasks.spawn(async move {
                let _connected = connected;
                serve(io, AdminPeer::Tcp, handler, end, slot).await;
            });
            // The client reads nothing.
            let free: Result<Result<(), _>, _> =
                timeout(deadline + Duration::from_millis(10), free).await;
            assert!(free.is_ok(), "{sent}");
        }
    }

    /// Former fault: silent clients that reconnect held all slots, 2 s each.
    async fn check_service_among_silent_clients() {
        let admin = Admin::bind(&[AdminAddress::Tcp(([127, 0, 0, 1], 0).into())]).unwrap();
        let Some(Ok(AdminAddress::Tcp(address))) = admin.addresses().next() else {
            panic!("the address is bound")
        };
        let mut silent = JoinSet::new();
        for _ in 0..64 {
            silent.spawn(async move {
                loop {
                    let mut stream = TcpStream::connect(address).await.unwrap();
                    // The end of the connection.
                    let _ = stream.read(&mut [0; 1]).await;
                }
            });
        }
        let honest = async {
            let mut longest = Duration::ZERO;
            for _ in 0..10 {
                let start = Instant::now();
                let mut stream = TcpStream::connect(address).await.unwrap();
                let request =
                    b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
                stream.write_all(request).await.unwrap();
                let mut response = String::new();
                stream.read_to_string(&mut response).await.unwrap();
                assert!(response.starts_with("HTTP/1.1 200"), "{response}");
                longest = longest.max(start.elapsed());
            }
            longest
        };
        let handler = handler(&CancellationToken::new());
        let longest = tokio::select! {
            _ = admin.serve(handler) => unreachable!("it serves until it is dropped"),
            longest = honest => longest,
        };
        assert!(longest < HEAD_DEADLINE, "{longest:?}");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn silent_reconnects_served_by_two_workers() {
        check_service_among_silent_clients().await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn silent_reconnects_served_by_four_workers() {
        check_service_among_silent_clients().await;
    }
}
