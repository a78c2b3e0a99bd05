//! Right logins of one account, over 64 connections of one address. Measures the logins of another
//! address meanwhile.

use std::{
    convert::Infallible,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use futures::future::pending;
use integration_tests::{
    BackgroundWork, BenchReport, BenchServer, CpuPinning, ServerFiles, TEST_TIMEOUT, authorization,
    connect_from, handshake_with, loopback_address, percentile, to_f64,
};
use raw_peer::RawPeer;
use tokio::task::spawn_local;

use super::{ATTACK_TIME, CLIENT_CREDENTIALS, WORKERS, accounts};

/// The name of this part.
pub(crate) const NAME: &str = "right logins";

/// The connections that log in at the same time.
const CONNECTIONS: usize = 64;

/// The limit for a login of another address, in milliseconds. Two hashes share the CPU of the server.
/// The login waits for one of them, and takes as long itself.
const LOGIN_LIMIT: f64 = 400.0;

/// The least number of logins of the one address in a second. Fewer are no load.
const LOGIN_RATE: f64 = 10.0;

pub(crate) async fn run(pinning: CpuPinning, report: &mut BenchReport) {
    let configuration = format!(
        "[login]\nhash_workers = {WORKERS}\n[limits]\nmax_unauthenticated_per_address = \"off\"\n"
    );
    let files = ServerFiles::new(&configuration, &accounts());
    let bench_server = BenchServer::configured(&files, pinning).await;
    let address = bench_server.process.address;
    let logins = Arc::<AtomicU64>::default();
    let counter = Arc::clone(&logins);
    let work = BackgroundWork::start(move || log_in_again(address, counter));
    let mut times = Vec::new();
    let start = Instant::now();
    while start.elapsed() < ATTACK_TIME {
        let sent = Instant::now();
        let status = log_in(loopback_address(2), address).await;
        assert_eq!(status.as_deref(), Some("101"), "a login of another address");
        times.push(sent.elapsed());
    }
    let seconds = start.elapsed().as_secs_f64();
    work.stop();
    report.at_least(
        &format!("{NAME}: of one address, per second"),
        to_f64(logins.load(Ordering::Relaxed)) / seconds,
        LOGIN_RATE,
    );
    report.at_most(
        &format!("{NAME}: ms per login of another address, 99th percentile"),
        percentile(&times, 99),
        LOGIN_LIMIT,
    );
}

async fn log_in_again(server: SocketAddr, logins: Arc<AtomicU64>) -> Infallible {
    for _ in 0..CONNECTIONS {
        let logins = Arc::clone(&logins);
        spawn_local(async move {
            loop {
                if log_in(loopback_address(1), server).await.as_deref() == Some("101") {
                    logins.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
    }
    pending().await
}

/// Logs in by the handshake. Returns the status of the response.
async fn log_in(address: Ipv4Addr, server: SocketAddr) -> Option<String> {
    let stream = connect_from(address, server).await.ok()?;
    let mut peer = RawPeer::new(stream).with_timeout(TEST_TIMEOUT);
    peer.try_send(handshake_with(&[&authorization(CLIENT_CREDENTIALS)]))
        .await;
    let head = peer.try_head().await?;
    Some(head.get(9..12)?.to_owned())
}
