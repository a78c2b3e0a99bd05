//! The server as a whole: takes connections in until it is told to stop, then ends them in order.

use std::{io, net::SocketAddr, pin::pin, sync::Arc};

use futures::{
    FutureExt as _,
    future::{Either, select},
};
use proto::{close::CloseReason, credentials::Accounts, login::LoginPolicy};
use tokio::{net::TcpStream, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{info, warn};

use crate::{
    admission::{Admission, Entry},
    auth::Verifier,
    config::{Config, Limits},
    connection,
    handshake::{Rules, Standing},
    listener::Listener,
    service::Service,
    session::LiveConnections,
};

/// A server that listens.
#[derive(Debug)]
pub struct Server {
    listener: Listener,
    shared: Arc<Shared>,
}

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Shared {
    /// Which handshakes are taken.
    pub(crate) rules: Rules,
    /// What is demanded of a login.
    pub(crate) login: LoginPolicy,
    /// What bounds each connection.
    pub(crate) limits: Arc<Limits>,
    /// What runs after the login.
    pub(crate) service: Service,
    /// Who may log in.
    pub(crate) verifier: Verifier,
    /// Who is connected.
    pub(crate) live: Arc<LiveConnections>,
    /// Cancelled when the server shuts down.
    pub(crate) drain: CancellationToken,
    /// Every task of every connection, so that shutting down can wait for them.
    pub(crate) tasks: TaskTracker,
}

impl Server {
    /// Listens. Connections wait until [`Server::run`] takes them in.
    ///
    /// It must be called within a tokio runtime with I/O and time enabled.
    pub fn bind(config: Config, accounts: Accounts) -> io::Result<Self> {
        let listener = Listener::bind(config.listen, config.limits.longest_standstill())?;
        Ok(Self {
            listener,
            shared: Arc::new(Shared::new(config, accounts)),
        })
    }

    /// The address that was bound.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stop` is ready, then ends all connections within the drain deadline.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let Self {
            mut listener,
            shared,
        } = self;
        let admission = Arc::new(Admission::new(shared.limits.caps));
        let mut stop = pin!(stop);
        while let Either::Right((connection, _)) =
            select(stop.as_mut(), pin!(listener.accept())).await
        {
            take_in(connection, &admission, &shared);
        }
        // Those who are connected by now, as they see it, are told as well.
        while let Some(connection) = listener.accept().now_or_never() {
            take_in(connection, &admission, &shared);
        }
        drop(listener);
        shared.end_all().await;
    }
}

/// Takes a connection in, on a task of its own, so that none waits for another.
fn take_in(
    (stream, peer): (TcpStream, SocketAddr),
    admission: &Arc<Admission>,
    shared: &Arc<Shared>,
) {
    let (permit, standing) = match admission.enter(peer.ip()) {
        Entry::Open(permit) => (permit, Standing::Open),
        Entry::Full(permit) => (permit, Standing::Full),
        Entry::Closed => return,
    };
    let connection = connection::serve(stream, peer, permit, standing, Arc::clone(shared));
    shared.tasks.spawn(connection);
}

impl Shared {
    /// What the connections of a server with this configuration share.
    pub(crate) fn new(config: Config, accounts: Accounts) -> Self {
        Self {
            rules: config.rules,
            login: config.login,
            limits: Arc::new(config.limits),
            service: config.service,
            verifier: Verifier::new(Arc::new(accounts)),
            live: Arc::default(),
            drain: CancellationToken::new(),
            tasks: TaskTracker::new(),
        }
    }

    /// Ends all connections in order, within the drain deadline.
    pub(crate) async fn end_all(&self) {
        self.drain.cancel();
        let open = self.live.end_all(CloseReason::ShuttingDown);
        info!(connections = open, "ending all connections");
        self.tasks.close();
        if timeout(self.limits.drain_deadline, self.tasks.wait())
            .await
            .is_err()
        {
            warn!(
                connections = self.tasks.len(),
                "cut off: they did not end in time"
            );
        }
    }
}
