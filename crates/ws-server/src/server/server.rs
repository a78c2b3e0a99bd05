//! The server as a whole: takes connections in until it is told to stop, then ends them in order.

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc};

use futures::FutureExt as _;
use proto::credentials::Accounts;
use tokio::net::TcpStream;

use crate::{
    config::Config,
    server::{
        accepted::AcceptedConnection, connection, handle::ServerHandle, listener::Listener,
        state::ServerState, tls::serve,
    },
    tls::{CurrentTls, Tls},
};

/// A server that listens.
#[derive(Debug)]
pub struct Server {
    listener: Listener,
    /// Present if connections are encrypted.
    tls: Option<Arc<CurrentTls>>,
    state: Arc<ServerState>,
}

impl Server {
    /// Listens. Connections wait until [`Server::run`] takes them in.
    ///
    /// It must be called within a tokio runtime with I/O and time enabled.
    pub fn bind(config: Config, accounts: Accounts) -> io::Result<Self> {
        let listener = Listener::bind(config.listen, config.limits.longest_standstill())?;
        Ok(Self {
            listener,
            tls: None,
            state: Arc::new(ServerState::new(config, accounts)),
        })
    }

    /// The same server, whose connections speak TLS.
    #[must_use]
    pub fn with_tls(self, tls: Tls) -> Self {
        let tls = Some(Arc::new(CurrentTls::new(tls)));
        Self { tls, ..self }
    }

    /// The address that was bound.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Returns a handle to the server.
    pub fn handle(&self) -> ServerHandle {
        ServerHandle::new(self.tls.clone(), Arc::clone(&self.state))
    }

    /// Serves until `stop` is ready, then ends all connections within the drain deadline.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let Self {
            mut listener,
            tls,
            state,
        } = self;
        let tls = tls.as_deref();
        tokio::select! {
            () = stop => {}
            never = accept_all(&mut listener, tls, &state) => match never {},
            never = state.end_expired() => match never {},
        }
        // Peers whose connections the kernel has accepted get a response as well.
        while let Some(connection) = listener.accept().now_or_never() {
            spawn_connection(connection, tls, &state);
        }
        drop(listener);
        state.end_all().await;
    }
}

async fn accept_all(
    listener: &mut Listener,
    tls: Option<&CurrentTls>,
    state: &Arc<ServerState>,
) -> Infallible {
    loop {
        let connection = listener.accept().await;
        spawn_connection(connection, tls, state);
        listener.set_user_timeout(state.current.load().limits.longest_standstill());
    }
}

/// Takes a connection in, on a task of its own, so that none waits for another.
fn spawn_connection(
    (stream, peer): (TcpStream, SocketAddr),
    tls: Option<&CurrentTls>,
    state: &Arc<ServerState>,
) {
    let Some(permit) = state.enter(peer.ip()) else {
        return;
    };
    let accepted = AcceptedConnection::new(peer, permit, state);
    // Two tasks rather than one that could be either: it would be as large as the larger one.
    match tls.map(CurrentTls::load) {
        Some(tls) => state
            .tasks
            .spawn(serve(stream, tls, accepted, Arc::clone(state))),
        None => state
            .tasks
            .spawn(connection::serve(stream, accepted, Arc::clone(state))),
    };
}
