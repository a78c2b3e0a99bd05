//! One connection on a pair of pipes, from handshake to end, on a clock that the test turns.

mod batches;
mod end;
mod frames;
mod login;
mod time;

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use proto::{
    close::CloseReason,
    credentials::Accounts,
    message::{CONGRATULATION, SORRY},
};
use raw_peer::{CREDENTIALS, HANDSHAKE, RawPeer, frame};
use tokio::{
    io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf, duplex},
    time::{Instant, sleep, timeout},
};

use super::serve;
use crate::{config::Config, server::Shared};

const ADMIN: &str = "[[user]]\nname = \"admin\"\npassword = \"123456\"";

/// More than any deadline that is tested here.
const PATIENCE: Duration = Duration::from_hours(1);

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A server without a listener.
struct Server(Arc<Shared>);

impl Server {
    fn new() -> Self {
        Self::with(Config::default())
    }

    fn with(config: Config) -> Self {
        Self(Arc::new(Shared::new(
            config,
            Accounts::from_toml(ADMIN).unwrap(),
        )))
    }

    fn connect(&self) -> RawPeer<DuplexStream> {
        self.connect_through(1 << 16)
    }

    /// A connection whose pipes hold only so many bytes.
    fn connect_through(&self, bytes: usize) -> RawPeer<DuplexStream> {
        let (ours, theirs) = duplex(bytes);
        self.serve(theirs);
        RawPeer::new(ours).with_patience(PATIENCE)
    }

    fn serve<S>(&self, io: S)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let peer = SocketAddr::from(([192, 0, 2, 1], 1024));
        let permit = self.0.admission.enter(Some(peer.ip())).unwrap();
        self.0
            .tasks
            .spawn(serve(io, peer, permit, Arc::clone(&self.0)));
    }

    /// A connection that is logged in.
    async fn session(&self) -> RawPeer<DuplexStream> {
        let mut peer = self.connect();
        peer.log_in().await;
        peer
    }
}
