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
        listener::{Caller, Listener},
        routes::Desk,
    },
    config::AdminAddress,
    process::descriptors::MAX_ADMIN_CONNECTIONS,
};

/// How long a client may take for the head of a request. A connection that is kept for the next one
/// ends after that time as well.
const HEAD_DEADLINE: Duration = Duration::from_secs(30);

/// How long a connection is kept for further requests, however soon they follow.
const LIFE: Duration = Duration::from_mins(1);

/// How long the last answer of a connection may take then. Whoever does not read it does not hold a
/// place for ever.
const ANSWER_DEADLINE: Duration = Duration::from_secs(30);

/// How long an answer that was begun may take once the server has ended.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// The interface, listening.
#[derive(Debug)]
pub(crate) struct Admin {
    listeners: Vec<Listener>,
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
        let places = Arc::new(Semaphore::new(MAX_ADMIN_CONNECTIONS));
        loop {
            let place = Arc::clone(&places).acquire_owned().await;
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
#[error("cannot listen on {address} for the operator, as [admin] says")]
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
    let mut connection = pin!(connection);
    // Whichever comes first: the end of the server, or its own.
    let last = timeout(LIFE, end.cancelled());
    let served = match select(connection.as_mut(), pin!(last)).await {
        Either::Left((served, _)) => Ok(served),
        Either::Right(_) => {
            connection.as_mut().graceful_shutdown();
            timeout(ANSWER_DEADLINE, connection).await
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

    use super::{ANSWER_DEADLINE, Caller, Desk, HEAD_DEADLINE, LIFE, serve};
    use crate::{
        config::Config,
        log::LostLines,
        reload::Reloads,
        server::{Control, Shared},
    };

    #[tokio::test(start_paused = true)]
    async fn nobody_holds_a_place_for_ever() {
        let accounts = Accounts::from_toml("[[user]]\nname = \"admin\"\npassword = \"1\"");
        let shared = Shared::new(Config::default(), accounts.unwrap());
        let control = Control::new(None, Arc::new(shared));
        let (end, tasks) = (CancellationToken::new(), TaskTracker::new());
        let desk = Arc::new(Desk::new(
            control,
            Reloads::to_nobody(),
            LostLines::default(),
            end.clone(),
        ));
        for said in ["", "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"] {
            let place = Arc::new(Semaphore::new(1));
            let taken = Arc::clone(&place).acquire_owned().await.unwrap();
            let (mut client, io) = duplex(64);
            client.write_all(said.as_bytes()).await.unwrap();
            let desk = Arc::clone(&desk);
            tasks.spawn(serve(io, Caller::Anybody, desk, end.clone(), taken));
            // It reads nothing.
            let free = timeout(HEAD_DEADLINE + LIFE + ANSWER_DEADLINE, place.acquire()).await;
            assert!(free.is_ok(), "{said}");
        }
    }
}
