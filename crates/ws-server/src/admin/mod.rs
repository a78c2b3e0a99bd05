//! The operator's view of a running server, and the operator's hand on it: a second HTTP interface,
//! which nobody reaches who is not on this machine.
//!
//! On each of its addresses, health and metrics may be read. Who is connected is told, and something
//! is changed, on a Unix socket only, which belongs to the user that runs the server. What comes
//! back is described in [`api`]; `ctl` is the client.
//!
//! | request | answer |
//! |---|---|
//! | `GET /livez` | 200 for as long as the process serves |
//! | `GET /readyz` | 200, or 503 while it is draining |
//! | `GET /metrics` | what Prometheus scrapes |
//! | `GET /sessions` | [`api::Sessions`] |
//! | `POST /kick` | takes [`api::Kick`], answers [`api::Session`] |
//! | `POST /revoke` | takes [`api::Revoke`], answers [`api::Revoked`] |
//! | `POST /reload` | [`api::Reloaded`] |
//! | `POST /drain` | [`api::Draining`] |
//! | `POST /publish` | takes [`api::Publish`], answers it |

mod address;
pub(crate) mod api;
mod desk;
mod listener;

use std::{convert::Infallible, future::pending, io, sync::Arc, time::Duration};

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

pub use self::address::{AdminAddress, AdminAddressError};
pub(crate) use self::desk::Desk;
use self::listener::{Caller, Listener};

/// How many connections there may be at once. Further ones wait to be accepted.
const MAX_CONNECTIONS: usize = 32;

/// How long a client may take for the head of a request. A connection that is kept for the next one
/// ends after that time as well.
const HEAD_DEADLINE: Duration = Duration::from_secs(30);

/// How long an answer that was begun may take once the server has ended.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// The interface, listening.
#[derive(Debug)]
pub(crate) struct Admin {
    listeners: Vec<Listener>,
    places: Arc<Semaphore>,
    tasks: TaskTracker,
    /// Cancelled when the server has ended.
    end: CancellationToken,
}

impl Admin {
    /// Listens on these addresses. An error names the one that it is about.
    pub(crate) fn bind(addresses: &[AdminAddress]) -> Result<Self, AdminBindError> {
        let listeners = addresses.iter().map(|address| {
            Listener::bind(address).map_err(|source| AdminBindError {
                address: address.clone(),
                source,
            })
        });
        Ok(Self {
            listeners: listeners.collect::<Result<_, _>>()?,
            places: Arc::new(Semaphore::new(MAX_CONNECTIONS)),
            tasks: TaskTracker::new(),
            end: CancellationToken::new(),
        })
    }

    /// Where it listens. A port that was left to the system is known here.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = io::Result<AdminAddress>> {
        self.listeners.iter().map(Listener::address)
    }

    /// Answers requests for good.
    pub(crate) async fn serve(&self, desk: Desk) -> Infallible {
        let desk = Arc::new(desk);
        join_all(self.listeners.iter().map(|it| self.take_all_in(it, &desk))).await;
        // There is no listener.
        pending().await
    }

    async fn take_all_in(&self, listener: &Listener, desk: &Arc<Desk>) -> Infallible {
        loop {
            let place = Arc::clone(&self.places).acquire_owned().await;
            let place = place.expect("the places are never closed");
            let (io, caller) = listener.accept().await;
            let serve = serve(io, caller, Arc::clone(desk), self.end.clone(), place);
            self.tasks.spawn(serve);
        }
    }

    /// Ends it, after the answers that were begun.
    pub(crate) async fn finish(&self) {
        self.end.cancel();
        self.tasks.close();
        // Whoever does not read its answer by then does without.
        let _ = timeout(LAST_ANSWERS, self.tasks.wait()).await;
    }
}

/// An address on which nobody can listen.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} for the operator")]
pub(crate) struct AdminBindError {
    address: AdminAddress,
    source: io::Error,
}

async fn serve<S>(
    io: S,
    caller: Caller,
    desk: Arc<Desk>,
    end: CancellationToken,
    _place: OwnedSemaphorePermit,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let answer = service_fn(|request| {
        let answer = desk.answer(request, caller);
        async { Ok::<_, Infallible>(answer.await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_DEADLINE)
        .serve_connection(TokioIo::new(io), answer);
    let served = match select(std::pin::pin!(connection), std::pin::pin!(end.cancelled())).await {
        Either::Left((served, _)) => served,
        Either::Right(((), mut connection)) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = served {
        debug!(%error, "a request to the operator's interface broke off");
    }
}
