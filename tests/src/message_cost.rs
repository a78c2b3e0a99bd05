//! The server's CPU time per message.

#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]

use std::time::{Duration, Instant};

use crate::{BenchServer, LoadGenerator, Workload, to_f64};

/// The rounds of each server.
pub const ROUNDS: usize = 5;

/// The attempts for a row that exceeds its limit. A shared machine can be slow for minutes; a real
/// regression stays.
pub const ATTEMPTS: usize = 5;

/// The duration of a measurement.
const TURN: Duration = Duration::from_secs(2);

const KIB: usize = 1024;

/// The rows of the message benchmarks.
pub const WORKLOADS: [Workload; 4] = [
    Workload {
        name: "64 B, 100 connections, 1 in flight",
        connections: 100,
        in_flight: 1,
        bytes: 64,
    },
    Workload {
        name: "64 B, 100 connections, 64 in flight",
        connections: 100,
        in_flight: 64,
        bytes: 64,
    },
    Workload {
        name: "16 KiB, 100 connections, 1 in flight",
        connections: 100,
        in_flight: 1,
        bytes: 16 * KIB,
    },
    Workload {
        name: "1 MiB, 4 connections, 4 in flight",
        connections: 4,
        in_flight: 4,
        bytes: KIB * KIB,
    },
];

/// Returns the server's CPU time per message, in microseconds.
pub async fn message_cost(bench_server: BenchServer, workload: Workload) -> f64 {
    let mut load = LoadGenerator::new(&bench_server, workload).await;
    // The first messages pay for one-time allocations.
    load.run_for(TURN / 4).await;
    let before = bench_server.process.processor_time();
    let start = Instant::now();
    let messages = load.run_for(TURN).await;
    let elapsed = start.elapsed();
    let worked = bench_server.process.processor_time().saturating_sub(before);
    let cost = worked.as_secs_f64() * 1e6 / to_f64(messages);
    println!(
        "  {:9} {cost:8.2} us per message, {messages:8} messages, busy {:3.0} %",
        bench_server.name,
        100.0 * worked.as_secs_f64() / elapsed.as_secs_f64()
    );
    cost
}
