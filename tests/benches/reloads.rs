//! A hundred reloads under load. No message may be lost or out of order, and no session may end.
//! Each reload changes both files. Every other one follows a SIGHUP, the rest only the change of
//! the files.

#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]

use std::{
    cell::Cell,
    process::ExitCode,
    time::{Duration, Instant},
};

use integration_tests::{
    ACCOUNTS, BenchReport, BenchServer, CONFIGURATION, CpuPinning, LoadGenerator, LoginMethod,
    ServerFiles, ServerProcess, WellBehavedClient, Workload, account, percentile, to_f64,
};
use raw_peer::{CREDENTIALS, frame};
use rustix::process::Signal;

const RELOADS: u32 = 100;

/// The load during the reloads.
const WORKLOAD: Workload = Workload {
    name: "64 B, 50 connections, 4 in flight",
    connections: 50,
    in_flight: 4,
    bytes: 64,
};

/// The duration of a batch of load, after which all replies are awaited.
const BATCH_TIME: Duration = Duration::from_secs(1);

/// The echo latency limit, in milliseconds.
const ANSWER_LIMIT: f64 = 50.0;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let pinning = CpuPinning::first_two_cpus();
    let files = ServerFiles::new(&configuration(0), &accounts(0));
    let mut bench_server = BenchServer::with_log(&files, pinning).await;
    let mut load = LoadGenerator::new(&bench_server, WORKLOAD).await;
    let mut well_behaved = WellBehavedClient::new(&bench_server.process, CREDENTIALS).await;

    let is_over = Cell::new(false);
    let start = Instant::now();
    let reloads = async {
        for number in 1..=RELOADS {
            reload(&mut bench_server.process, &files, number).await;
        }
        is_over.set(true);
    };
    // The load generator checks each reply. It panics if one is missing, doubled or late.
    let work = async {
        let mut answered = 0;
        while !is_over.get() {
            answered += load.run_for(BATCH_TIME).await;
        }
        answered
    };
    let echo = async {
        while !is_over.get() {
            well_behaved.echo().await;
        }
    };
    let ((), answered, ()) = tokio::join!(reloads, work, echo);
    let seconds = start.elapsed().as_secs_f64();
    println!("{RELOADS} reloads and {answered} answers in {seconds:.1} s, all correct");

    bench_server.process.signal(Signal::TERM);
    let (code, _, rest) = bench_server.process.finish().await;
    assert_eq!(code, Some(0), "the server exits with 0");
    // Only the load and the well-behaved session have logged lines since the last reload.
    let unexpected = rest.matches(" reloaded ").count();
    let mut report = BenchReport::default();
    let latencies = well_behaved.latencies();
    println!("maximum echo {:.1} ms", percentile(latencies, 100));
    report.at_most("unexpected reloads", to_f64(unexpected as u64), 0.0);
    report.at_most(
        "ms per echo, 99th percentile",
        percentile(latencies, 99),
        ANSWER_LIMIT,
    );
    report.exit_code()
}

/// Replaces both files, waits for the log line of the reload, and checks that both changes apply.
async fn reload(server: &mut ServerProcess, files: &ServerFiles, number: u32) {
    files.replace(CONFIGURATION, &configuration(number));
    files.replace(ACCOUNTS, &accounts(number));
    let cause = if number.is_multiple_of(2) {
        server.signal(Signal::HUP);
        "SIGHUP"
    } else {
        "the files have changed"
    };
    let line = server.log_line(" reloaded ").await;
    for field in [
        format!("cause={cause:?}"),
        "changed=\"echo.prefix\"".to_owned(),
        "sessions_ended=0".to_owned(),
    ] {
        assert!(line.contains(&field), "{field}: {line}");
    }
    let line = format!("visitor {number}:{number}");
    let mut client = LoginMethod::Message.log_in(server, &line).await;
    client.send(frame::text("hello")).await;
    assert_eq!(client.text().await, format!("{number}: hello"));
    client.send(frame::close(1000, "user exit")).await;
    assert_eq!(client.close().await.0, 1000, "the reply to the Close frame");
    client.end().await;
}

/// Returns the configuration after this reload. Sessions that were open before keep the first
/// prefix.
fn configuration(number: u32) -> String {
    match number {
        0 => String::new(),
        later => format!("[echo]\nprefix = \"{later}: \"\n"),
    }
}

/// Returns the accounts after this reload: the load's, the current visitor's, and that of the one
/// before, whose session the server may still be closing.
fn accounts(number: u32) -> String {
    let lines = (number.saturating_sub(1)..=number)
        .map(|number| format!("visitor {number}:{number}"))
        .chain([CREDENTIALS.to_owned()]);
    let accounts = lines.map(|line| {
        let (name, password) = line.split_once(':').expect("the line has a colon");
        account(name, &format!("password = \"{password}\""))
    });
    accounts.collect()
}
