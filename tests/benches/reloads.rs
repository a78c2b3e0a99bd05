//! A hundred reloads while many talk: no message is lost, none comes out of order, and nobody's
//! session ends. Each reload changes both files; every other one follows a SIGHUP, the rest the
//! change of the files alone.

#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]

use std::{
    cell::Cell,
    fs,
    path::Path,
    process::ExitCode,
    time::{Duration, Instant},
};

use integration_tests::{
    BenchReport, BenchServer, CpuPinning, LoadGenerator, ServerProcess, WellBehavedClient,
    Workload, percentile, replace,
};
use proto::message::is_congratulation;
use raw_peer::{CREDENTIALS, frame};
use rustix::process::Signal;

const RELOADS: u32 = 100;

/// What goes on meanwhile.
const WORKLOAD: Workload = Workload {
    name: "64 B, 50 connections, 4 in flight",
    connections: 50,
    in_flight: 4,
    bytes: 64,
};

/// After how long the answers in flight are waited for, again and again.
const BATCH_TIME: Duration = Duration::from_secs(1);

/// How long an answer may take, in milliseconds.
const ANSWER_LIMIT: f64 = 50.0;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let pinning = CpuPinning::first_two_cpus();
    let directory = ServerProcess::config_directory(&configuration(0));
    let credentials = directory.path().join("credentials.toml");
    fs::write(&credentials, accounts(0)).expect("it can be written");
    let file = directory.path().join("server.toml");
    let mut bench_server = BenchServer::with_log(&file, pinning).await;
    let mut load = LoadGenerator::new(&bench_server, WORKLOAD).await;
    let mut well_behaved = WellBehavedClient::new(&bench_server.process, CREDENTIALS).await;

    let is_over = Cell::new(false);
    let start = Instant::now();
    let reloads = async {
        for number in 1..=RELOADS {
            reload(&mut bench_server.process, directory.path(), number).await;
        }
        is_over.set(true);
    };
    // Each answer is checked; one that does not come, or comes twice, or late, is a panic.
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
    println!("{RELOADS} reloads and {answered} answers in {seconds:.1} s, all as they are to be");

    bench_server.process.signal(Signal::TERM);
    let (code, _, rest) = bench_server.process.finish().await;
    assert_eq!(code, Some(0), "it stops in order");
    // The load and the honest session are the only ones that are there.
    let unexpected = rest.matches(" reloaded ").count();
    let mut report = BenchReport::default();
    let latencies = well_behaved.latencies();
    println!("at worst an echo took {:.1} ms", percentile(latencies, 100));
    report.at_most("reloads that nobody asked for", to_f64(unexpected), 0.0);
    report.at_most(
        "ms for an echo, 99th percentile",
        percentile(latencies, 99),
        ANSWER_LIMIT,
    );
    report.exit_code()
}

/// Has the files changed, waits until the log tells so, and sees that both changes hold.
async fn reload(server: &mut ServerProcess, directory: &Path, number: u32) {
    replace(&directory.join("server.toml"), &configuration(number));
    replace(&directory.join("credentials.toml"), &accounts(number));
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
    let mut client = server.connect().await;
    client.upgrade().await;
    client
        .send(frame::text(&format!("visitor {number}:{number}")))
        .await;
    let welcome = client.text().await;
    assert!(is_congratulation(&welcome), "{welcome}");
    client.send(frame::text("hello")).await;
    assert_eq!(client.text().await, format!("{number}: hello"));
    client.send(frame::close(1000, "user exit")).await;
    assert_eq!(client.close().await.0, 1000, "the answer to a close");
    client.end().await;
}

/// The prefix of those who come after this reload. Who was there before keeps the first one.
fn configuration(number: u32) -> String {
    match number {
        0 => String::new(),
        later => format!("[echo]\nprefix = \"{later}: \"\n"),
    }
}

/// The accounts after this reload: those who work, who visits now, and who did so before, because
/// the server may not be quite done with that one.
fn accounts(number: u32) -> String {
    let lines = (number.saturating_sub(1)..=number)
        .map(|number| format!("visitor {number}:{number}"))
        .chain([CREDENTIALS.to_owned()]);
    let accounts = lines.map(|line| {
        let (name, password) = line.split_once(':').expect("it is a credentials line");
        format!("[[user]]\nname = \"{name}\"\npassword = \"{password}\"\n")
    });
    accounts.collect()
}

#[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
fn to_f64(count: usize) -> f64 {
    count as f64
}
