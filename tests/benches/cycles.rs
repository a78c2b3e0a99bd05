//! Memory and descriptors of the server after many connections have logged in and closed. An
//! argument sets the number of connections; the default is 100,000.

#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]

use std::{process::ExitCode, time::Duration};

use futures::future::join_all;
use integration_tests::{BenchReport, BenchServer, CpuPinning, TEST_TIMEOUT, to_f64};
use tokio::time::{Instant, sleep};

const CYCLES: usize = 100_000;

/// The divisor for the warm-up: memory is first measured after half of the connections.
const WARM_UP: usize = 2;

/// The number of concurrent clients.
const CONCURRENCY: usize = 50;

/// The greatest ratio of the memory at the end to the memory after the warm-up.
const LIMIT: f64 = 1.05;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let number = std::env::args().find_map(|argument| argument.parse().ok());
    let cycles: usize = number.unwrap_or(CYCLES);
    let bench_server = BenchServer::with_defaults(CpuPinning::first_two_cpus()).await;
    let at_first = bench_server.process.descriptors();
    cycle(&bench_server, cycles / WARM_UP).await;
    let warm = bench_server.process.resident_bytes();
    println!("{warm} bytes after {} cycles", cycles / WARM_UP);
    cycle(&bench_server, cycles - cycles / WARM_UP).await;
    let end = bench_server.process.resident_bytes();
    println!("{end} bytes after {cycles} cycles");

    let mut report = BenchReport::default();
    let growth = to_f64(end) / to_f64(warm);
    report.at_most(
        "memory, ratio to that after half of the cycles",
        growth,
        LIMIT,
    );
    let left = bench_server.process.descriptors().saturating_sub(at_first);
    report.at_most("additional descriptors", to_f64(left as u64), 0.0);
    report.exit_code()
}

/// Runs this number of connections, and waits until the server has closed them all.
async fn cycle(bench_server: &BenchServer, cycles: usize) {
    let clients = (0..CONCURRENCY).map(async |_| {
        for _ in 0..cycles / CONCURRENCY {
            bench_server.connect_and_close().await;
        }
    });
    let before = bench_server.process.descriptors();
    join_all(clients).await;
    let deadline = Instant::now() + TEST_TIMEOUT;
    while bench_server.process.descriptors() > before {
        assert!(
            Instant::now() < deadline,
            "closed connections keep their descriptors"
        );
        sleep(Duration::from_millis(10)).await;
    }
}
