//! Clients that guess passwords at full speed.

use std::{
    convert::Infallible,
    iter,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use futures::future::pending;
use integration_tests::{
    BackgroundWork, TEST_TIMEOUT, authorization, connect_from, handshake_with, loopback_address,
};
use proto::close::CloseReason;
use raw_peer::{HANDSHAKE, RawPeer, frame};
use tokio::{net::TcpStream, task::spawn_local};
use ws_server::handshake::Refusal;

/// The begin of the reason of a Close frame for a full hashing queue.
const TOO_MANY_LOGINS: &str = "too many logins at once, back in ";

/// The number of attackers. Every other one guesses by messages, the rest by Basic authentication.
pub(crate) const ATTACKERS: usize = 200;

/// A running brute-force attack.
#[derive(Debug)]
pub(crate) struct BruteForce {
    counters: Arc<GuessCounters>,
    work: BackgroundWork<Infallible>,
}

/// The outcomes of the guesses.
#[derive(Debug, Default)]
pub(crate) struct GuessCounters {
    /// Guesses that were verified and rejected.
    pub(crate) wrong: AtomicU64,
    /// Guesses refused because the failure budget of the address is exhausted.
    pub(crate) over_budget: AtomicU64,
    /// Guesses refused because the hashing queue is full.
    pub(crate) busy: AtomicU64,
    /// Connections with any other outcome.
    pub(crate) other: AtomicU64,
}

impl BruteForce {
    /// Starts the attack from this number of addresses.
    pub(crate) fn start(server: SocketAddr, addresses: usize) -> Self {
        let counters = Arc::<GuessCounters>::default();
        let shared = Arc::clone(&counters);
        let work = BackgroundWork::start(move || run_attackers(server, addresses, shared));
        Self { counters, work }
    }

    /// Stops the attack and returns the outcomes.
    pub(crate) fn stop(self) -> Arc<GuessCounters> {
        self.work.stop();
        self.counters
    }
}

async fn run_attackers(
    server: SocketAddr,
    addresses: usize,
    counters: Arc<GuessCounters>,
) -> Infallible {
    let requests: [fn() -> Vec<u8>; 2] = [by_message, by_basic];
    let requests = iter::repeat(requests).flatten();
    for (number, guesses) in (0..ATTACKERS).zip(requests) {
        let address = loopback_address(1 + number % addresses);
        let counters = Arc::clone(&counters);
        spawn_local(async move {
            loop {
                match connect_from(address, server).await {
                    Ok(stream) => guess(stream, &guesses(), &counters).await,
                    Err(_) => count(&counters.other),
                }
            }
        });
    }
    pending().await
}

/// Returns the handshake, the two guesses that are answered without delay, and a Close frame.
fn by_message() -> Vec<u8> {
    [
        HANDSHAKE.into(),
        frame::text("admin:guess"),
        frame::text("unknown:guess"),
        frame::close(1000, ""),
    ]
    .concat()
}

/// Returns a handshake with one guess.
fn by_basic() -> Vec<u8> {
    handshake_with(&[&authorization("admin:guess")]).into()
}

/// Sends guesses and counts their outcomes until the connection ends.
async fn guess(stream: TcpStream, guesses: &[u8], counters: &GuessCounters) {
    let mut peer = RawPeer::new(stream).with_timeout(TEST_TIMEOUT);
    peer.try_send(guesses).await;
    let head = peer.try_head().await;
    let status = head.as_deref().and_then(|head| head.get(9..12));
    match status {
        Some("101") => count_frames(&mut peer, counters).await,
        Some("401") => count(&counters.wrong),
        Some("429") => count(&counters.over_budget),
        Some("503")
            if peer
                .rest()
                .await
                .starts_with(Refusal::TooManyLogins.text().as_bytes()) =>
        {
            count(&counters.busy);
        }
        Some(_) | None => count(&counters.other),
    }
}

async fn count_frames(peer: &mut RawPeer<TcpStream>, counters: &GuessCounters) {
    let mut sorry = 0;
    while let Some(frame) = peer.next().await {
        if frame.first != 0x88 {
            sorry += 1;
            continue;
        }
        let (code, reason) = frame.close();
        if code == 1013 && reason.starts_with(TOO_MANY_LOGINS) {
            count(&counters.busy);
        } else if code == 1013 && reason == CloseReason::TooManyFailures.text() {
            // The guess that exhausts the budget gets a rejection as well.
            sorry -= 1;
            count(&counters.over_budget);
        } else if code != 1000 {
            count(&counters.other);
        }
        counters.wrong.fetch_add(sorry, Ordering::Relaxed);
        return;
    }
    count(&counters.other);
}

fn count(counters: &AtomicU64) {
    counters.fetch_add(1, Ordering::Relaxed);
}
