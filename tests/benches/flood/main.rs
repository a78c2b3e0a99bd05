//! All attacks at once. Measures the latency of a well-behaved client meanwhile. Then floods a server
//! with TLS handshakes. Then runs a server without free descriptors, and measures its CPU time, its log
//! and its recovery. An argument selects the parts whose names contain it.

#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]

mod attackers;
mod client_hellos;
mod descriptor_exhaustion;

use std::{
    net::Ipv4Addr,
    process::ExitCode,
    time::{Duration, Instant},
};

use integration_tests::{BenchReport, BenchServer, CpuPinning, echoed, is_selected, percentile};
use raw_peer::frame;
use tokio::time::sleep;

use self::attackers::Attackers;

/// The duration of the attacks.
const FLOOD_TIME: Duration = Duration::from_secs(10);

/// The pause of the well-behaved client between two messages.
const THINK_TIME: Duration = Duration::from_millis(5);

/// The echo latency limit, in milliseconds.
const ANSWER_LIMIT: f64 = 50.0;

/// The limit for a whole session, in milliseconds. Connecting, upgrading, logging in and closing
/// takes five round trips.
const SESSION_LIMIT: f64 = 100.0;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let pinning = CpuPinning::first_two_cpus();
    let mut report = BenchReport::default();
    if is_selected("all attacks") {
        flood(pinning, &mut report).await;
    }
    if is_selected("TLS handshakes") {
        client_hellos::run(pinning, &mut report).await;
    }
    if is_selected("no descriptors") {
        descriptor_exhaustion::run(&mut report).await;
    }
    report.exit_code()
}

async fn flood(pinning: CpuPinning, report: &mut BenchReport) {
    let bench_server = BenchServer::with_defaults(pinning).await;
    let mut answers = Vec::new();
    let mut sessions = Vec::new();
    let mut client = bench_server.process.connect().await;
    client.log_in().await;
    let attackers = Attackers::start(bench_server.process.address);
    let before = bench_server.process.processor_time();
    let start = Instant::now();
    while start.elapsed() < FLOOD_TIME {
        let sent = Instant::now();
        client.send(frame::text("hello")).await;
        assert_eq!(client.text().await, echoed("hello"));
        answers.push(sent.elapsed());

        let connected = Instant::now();
        bench_server.connect_and_close().await;
        sessions.push(connected.elapsed());
        sleep(THINK_TIME).await;
    }
    let worked = bench_server.process.processor_time().saturating_sub(before);
    println!(
        "the server used {:.0} % CPU, {} descriptors and {} KiB",
        100.0 * worked.as_secs_f64() / start.elapsed().as_secs_f64(),
        bench_server.process.descriptors(),
        bench_server.process.resident_bytes() / 1024,
    );
    for stats in attackers.stop() {
        println!("  {stats}");
    }
    println!(
        "maximum: echo {:.0} ms, session {:.0} ms",
        percentile(&answers, 100),
        percentile(&sessions, 100)
    );
    let answers = percentile(&answers, 99);
    report.at_most("ms per echo, 99th percentile", answers, ANSWER_LIMIT);
    let sessions = percentile(&sessions, 99);
    report.at_most("ms per session, 99th percentile", sessions, SESSION_LIMIT);
}

/// Returns the source address of a kind of attack.
fn address(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 1, number)
}
