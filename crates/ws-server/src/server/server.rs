//! The server as a whole: takes connections in until it is told to stop, then ends them in order.

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc};

use futures::FutureExt as _;
use proto::credentials::Accounts;
use tokio::net::TcpStream;

use crate::{
    config::Config,
    server::{
        accepted::Arrival, connection, handle::Control, listener::Listener, state::Shared,
        tls::serve,
    },
    tls::{CurrentTls, Tls},
};

/// A server that listens.
#[derive(Debug)]
pub struct Server {
    listener: Listener,
    /// Present if connections are encrypted.
    tls: Option<Arc<CurrentTls>>,
    shared: Arc<Shared>,
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
            shared: Arc::new(Shared::new(config, accounts)),
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

    /// A hold on the server, for as long as it runs.
    pub fn control(&self) -> Control {
        Control::new(self.tls.clone(), Arc::clone(&self.shared))
    }

    /// Serves until `stop` is ready, then ends all connections within the drain deadline.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let Self {
            mut listener,
            tls,
            shared,
        } = self;
        let tls = tls.as_deref();
        tokio::select! {
            () = stop => {}
            never = take_all_in(&mut listener, tls, &shared) => match never {},
            never = shared.end_expired() => match never {},
        }
        // Those who are connected by now, as they see it, are told as well.
        while let Some(connection) = listener.accept().now_or_never() {
            take_in(connection, tls, &shared);
        }
        drop(listener);
        shared.end_all().await;
    }
}

async fn take_all_in(
    listener: &mut Listener,
    tls: Option<&CurrentTls>,
    shared: &Arc<Shared>,
) -> Infallible {
    loop {
        let connection = listener.accept().await;
        take_in(connection, tls, shared);
        listener.set_user_timeout(shared.current.load().limits.longest_standstill());
    }
}

/// Takes a connection in, on a task of its own, so that none waits for another.
fn take_in(
    (stream, peer): (TcpStream, SocketAddr),
    tls: Option<&CurrentTls>,
    shared: &Arc<Shared>,
) {
    let Some(permit) = shared.enter(peer.ip()) else {
        return;
    };
    let arrival = Arrival::new(peer, permit, shared);
    // Two tasks rather than one that could be either: it would be as large as the larger one.
    match tls.map(CurrentTls::load) {
        Some(tls) => shared
            .tasks
            .spawn(serve(stream, tls, arrival, Arc::clone(shared))),
        None => shared
            .tasks
            .spawn(connection::serve(stream, arrival, Arc::clone(shared))),
    };
}
