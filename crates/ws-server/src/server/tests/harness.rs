//! A server without a listener, with connections on duplex pipes.

pub(super) use std::{
    io,
    net::SocketAddr,
    num::NonZeroUsize,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

pub(super) use proto::{
    basic::authorization,
    close::CloseReason,
    config::Count,
    credentials::Accounts,
    message::{CONGRATULATION, Credentials, SORRY},
};
pub(super) use raw_peer::{CREDENTIALS, HANDSHAKE, RawPeer, frame};
pub(super) use tokio::{
    io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf, duplex},
    time::{Instant, sleep, timeout},
};

pub(super) use crate::{
    config::Config,
    server::{
        accepted::AcceptedConnection, connection::serve, state::ServerState, stream::ServedStream,
    },
};

pub(super) const ADMIN: &str = "[[user]]\nname = \"admin\"\npassword = \"123456\"";

/// Longer than any deadline under test.
pub(super) const TIMEOUT: Duration = Duration::from_hours(1);

pub(super) const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A server without a listener.
pub(super) struct TestServer(pub(super) Arc<ServerState>);

impl TestServer {
    pub(super) fn new() -> Self {
        Self::with(Config::default())
    }

    pub(super) fn with(config: Config) -> Self {
        Self::of(config, ADMIN)
    }

    /// Creates a server with these accounts.
    pub(super) fn of(config: Config, accounts: &str) -> Self {
        let accounts = Accounts::from_toml(accounts).unwrap();
        Self(Arc::new(ServerState::new(config, accounts)))
    }

    pub(super) fn connect(&self) -> RawPeer<DuplexStream> {
        self.connect_through(1 << 16)
    }

    /// Connects through pipes of this capacity.
    pub(super) fn connect_through(&self, bytes: usize) -> RawPeer<DuplexStream> {
        let (ours, theirs) = duplex(bytes);
        self.serve(theirs);
        RawPeer::new(ours).with_timeout(TIMEOUT)
    }

    /// Connects from this address.
    pub(super) fn connect_from(&self, address: [u8; 4]) -> RawPeer<DuplexStream> {
        let (ours, theirs) = duplex(1 << 16);
        self.serve_from(address, theirs);
        RawPeer::new(ours).with_timeout(TIMEOUT)
    }

    pub(super) fn serve<S>(&self, io: S)
    where
        S: ServedStream,
    {
        self.serve_from([192, 0, 2, 1], io);
    }

    pub(super) fn serve_from<S>(&self, address: [u8; 4], io: S)
    where
        S: ServedStream,
    {
        let peer = SocketAddr::from((address, 1024));
        let permit = self.0.enter(peer.ip()).unwrap();
        let accepted = AcceptedConnection::new(peer, permit, &self.0);
        self.0.tasks.spawn(serve(io, accepted, Arc::clone(&self.0)));
    }

    /// Reloads with these accounts. Returns the number of ended sessions.
    pub(super) fn reload(&self, accounts: &str) -> usize {
        self.0
            .reload(Config::default(), Accounts::from_toml(accounts).unwrap())
    }

    /// Connects and logs in.
    pub(super) async fn session(&self) -> RawPeer<DuplexStream> {
        let mut peer = self.connect();
        peer.log_in().await;
        peer
    }
}

/// Asserts that a refusal, in lower case, has a random `Retry-After` of about five seconds.
#[track_caller]
pub(super) fn assert_retry_after(answer: &str) {
    let (_, seconds) = answer.split_once("retry-after: ").expect("it is there");
    let (seconds, _) = seconds.split_once("\r\n").expect("the line ends");
    let seconds: u64 = seconds.parse().expect("it is a number");
    assert!((1..=10).contains(&seconds), "{answer}");
}

/// Returns [`HANDSHAKE`] with an additional field.
pub(super) fn handshake_with(field: &str) -> String {
    HANDSHAKE.replace("\r\n\r\n", &format!("\r\n{field}\r\n\r\n"))
}

/// Returns [`HANDSHAKE`] with Basic credentials.
pub(super) fn basic_handshake(line: &str) -> String {
    let credentials = Credentials::parse(line).unwrap();
    let value = authorization(&credentials);
    handshake_with(&format!("Authorization: {}", value.expose()))
}
