//! The server: accepts connections until it is stopped, then drains them.

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

/// A listening server.
#[derive(Debug)]
pub struct Server {
    listener: Listener,
    /// `None` if TLS is off.
    tls: Option<Arc<CurrentTls>>,
    state: Arc<ServerState>,
}

impl Server {
    /// Binds the configured address. Connections wait until [`Server::run`] accepts them.
    ///
    /// # Errors
    ///
    /// The address cannot be bound.
    ///
    /// # Panics
    ///
    /// If it is called outside a tokio runtime with I/O and time enabled.
    pub fn bind(config: Config, accounts: Accounts) -> io::Result<Self> {
        let listener = Listener::bind(config.listen, config.limits.longest_standstill())?;
        Ok(Self {
            listener,
            tls: None,
            state: Arc::new(ServerState::new(config, accounts)),
        })
    }

    /// Turns TLS on for all connections.
    #[must_use]
    pub fn with_tls(self, tls: Tls) -> Self {
        let tls = Some(Arc::new(CurrentTls::new(tls)));
        Self { tls, ..self }
    }

    /// Makes this process the parent of processes that programs leave behind, and reaps them. It is for
    /// a process without other children: each child that is not a program is reaped too.
    ///
    /// # Errors
    ///
    /// The system refuses it.
    pub fn adopt_orphans(&self) -> io::Result<()> {
        self.state.programs.adopt_orphans()
    }

    /// Returns the bound address.
    ///
    /// # Errors
    ///
    /// The system does not report the address.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Returns a handle to the server.
    pub fn handle(&self) -> ServerHandle {
        ServerHandle::new(self.tls.clone(), Arc::clone(&self.state))
    }

    /// Serves until `stop` is ready, then closes all connections within the drain deadline.
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

/// Spawns a task for a connection, so that no handshake delays the accept loop.
fn spawn_connection(
    (stream, peer): (TcpStream, SocketAddr),
    tls: Option<&CurrentTls>,
    state: &Arc<ServerState>,
) {
    let Some(permit) = state.enter(peer.ip()) else {
        return;
    };
    let mut accepted = AcceptedConnection::new(peer, permit, state);
    accepted.local = stream.local_addr().ok();
    // Two task types: a single one would always have the size of the larger one.
    match tls.map(CurrentTls::load) {
        Some(tls) => state
            .tasks
            .spawn(serve(stream, tls, accepted, Arc::clone(state))),
        None => state
            .tasks
            .spawn(connection::serve(stream, accepted, Arc::clone(state))),
    };
}
