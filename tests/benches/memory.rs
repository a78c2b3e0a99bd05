//! The memory of an idle, logged-in connection.
//!
//! `BENCH_AGAINST=PATH` compares it with another build of the server instead, in alternating
//! rounds.

#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]

use std::{process::ExitCode, time::Duration};

use integration_tests::{BenchReport, BenchServer, Comparison, CpuPinning, to_f64};
use raw_peer::{RawPeer, frame};
use tokio::{net::TcpStream, time::sleep};

const KIB: usize = 1024;

/// The number of connections that only log in, and of those that echo 1 MiB before they are idle.
const IDLE: usize = 10_000;
const ECHOED: usize = 200;

/// The idle time before the memory is measured.
const IDLE_TIME: Duration = Duration::from_secs(10);

/// The limits in bytes per connection.
const IDLE_LIMIT: f64 = 4096.0;
const ECHOED_LIMIT: f64 = 65536.0;

/// The rounds of two compared builds.
const COMPARED_ROUNDS: usize = 3;

const IDLE_ROW: &str = "bytes per idle connection, of 10000";
const ECHOED_ROW: &str = "bytes per connection 10 s after an echo of 1 MiB, of 200";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let pinning = CpuPinning::first_two_cpus();
    let mut report = BenchReport::default();
    if let Some(comparison) = Comparison::from_env(pinning) {
        let each = comparison.measure(COMPARED_ROUNDS, idle_bytes).await;
        each.at_most(IDLE_ROW, &mut report);
        let each = comparison.measure(COMPARED_ROUNDS, echoed_bytes).await;
        each.at_most(ECHOED_ROW, &mut report);
        return report.exit_code();
    }
    let each = idle_bytes(BenchServer::with_defaults(pinning).await).await;
    report.at_most(IDLE_ROW, each, IDLE_LIMIT);
    let each = echoed_bytes(BenchServer::with_defaults(pinning).await).await;
    report.at_most(ECHOED_ROW, each, ECHOED_LIMIT);
    report.exit_code()
}

/// Returns the bytes per connection that only logged in.
async fn idle_bytes(bench_server: BenchServer) -> f64 {
    let (before, _idle) = log_in_many(&bench_server, IDLE).await;
    bytes_per_connection(&bench_server, before, IDLE)
}

/// Returns the bytes per connection that echoed 1 MiB and was idle for [`IDLE_TIME`].
async fn echoed_bytes(bench_server: BenchServer) -> f64 {
    let (before, mut peers) = log_in_many(&bench_server, ECHOED).await;
    let message = frame::binary(&vec![7; KIB * KIB]);
    for peer in &mut peers {
        peer.send(&message).await;
        assert_eq!(peer.frame().await.payload.len(), KIB * KIB, "the echo");
    }
    let each = bytes_per_connection(&bench_server, before, ECHOED);
    println!("bytes per connection right after an echo of 1 MiB: {each:.0}");
    sleep(IDLE_TIME).await;
    bytes_per_connection(&bench_server, before, ECHOED)
}

/// Logs in this number of connections. Returns the memory before them, and the peers.
async fn log_in_many(
    bench_server: &BenchServer,
    connections: usize,
) -> (u64, Vec<RawPeer<TcpStream>>) {
    // Exclude memory that the server allocates once.
    for _ in 0..10 {
        bench_server.connect_and_close().await;
    }
    let before = bench_server.process.resident_bytes();
    let mut peers = Vec::new();
    for _ in 0..connections {
        peers.push(RawPeer::new(bench_server.log_in().await));
    }
    (before, peers)
}

/// Returns the memory growth in bytes per connection.
fn bytes_per_connection(bench_server: &BenchServer, before: u64, connections: usize) -> f64 {
    let more = bench_server.process.resident_bytes().saturating_sub(before);
    to_f64(more) / to_f64(connections as u64)
}
