//! The cost of a short session: connect, upgrade, log in, close. Compares the server with an
//! ordinary server and a minimal one, in alternating rounds.
//!
//! `BENCH_AGAINST=PATH` compares it with another build of the server instead.

#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use futures::future::join_all;
use integration_tests::{BenchReport, BenchServer, Comparison, CpuPinning, median};

/// The rounds of each server, and the duration of each round.
const ROUNDS: usize = 5;
const TURN: Duration = Duration::from_secs(2);

/// The rounds of two compared builds. Their difference is smaller than that to the ordinary server.
const COMPARED_ROUNDS: usize = 21;

/// The number of concurrent clients.
const CONCURRENCY: usize = 32;

/// The least ratio to the login rate of the ordinary server.
const LIMIT: f64 = 2.0;

/// The limit where even the minimal server does not reach [`LIMIT`]: the least ratio to its rate.
/// Most of the difference is the three log lines of a session: login, start and end.
const BARE_SHARE: f64 = 0.62;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let pinning = CpuPinning::first_two_cpus();
    let mut report = BenchReport::default();
    if let Some(comparison) = Comparison::from_env(pinning) {
        let rates = comparison.measure(COMPARED_ROUNDS, rate).await;
        rates.at_least("logins, ratio to the baseline", &mut report);
        return report.exit_code();
    }
    let (mut ours, mut plain, mut bare) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ours.push(rate(BenchServer::with_defaults(pinning).await).await);
        plain.push(rate(BenchServer::plain(pinning).await).await);
        bare.push(rate(BenchServer::bare(pinning).await).await);
    }
    let (ours, plain, bare) = (median(&ours), median(&plain), median(&bare));
    println!("{:.2} of the minimal server", ours / bare);
    let limit = LIMIT.min(BARE_SHARE * bare / plain);
    report.at_least("logins, ratio to the ordinary server", ours / plain, limit);
    report.exit_code()
}

/// Returns the logins per second of the server's CPU time.
async fn rate(bench_server: BenchServer) -> f64 {
    logins(&bench_server, TURN / 4).await;
    let before = bench_server.process.processor_time();
    let start = Instant::now();
    let logins = logins(&bench_server, TURN).await;
    let elapsed = start.elapsed();
    let worked = bench_server.process.processor_time().saturating_sub(before);
    let rate = f64::from(logins) / worked.as_secs_f64();
    println!(
        "{:9} {rate:6.0} logins per CPU second, {logins:6} logins, busy {:3.0} %",
        bench_server.name,
        100.0 * worked.as_secs_f64() / elapsed.as_secs_f64()
    );
    rate
}

/// Runs short sessions for this time, and returns their number.
async fn logins(bench_server: &BenchServer, time: Duration) -> u32 {
    let start = Instant::now();
    let clients = (0..CONCURRENCY).map(async |_| {
        let mut logins = 0;
        while start.elapsed() < time {
            bench_server.connect_and_close().await;
            logins += 1;
        }
        logins
    });
    join_all(clients).await.into_iter().sum()
}
