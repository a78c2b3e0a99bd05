//! Password guessing at full speed. Measures the echo latency of a well-behaved session meanwhile,
//! and the memory of the hashing workers. The guesses come from one address, from 200 addresses
//! that stay within their budgets, and from one address without a budget. Then floods the server with
//! right logins of one address. An argument selects the parts whose names contain it.

#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]

mod attackers;
mod right_logins;

use std::{
    process::ExitCode,
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use integration_tests::{
    BenchReport, BenchServer, CpuPinning, ServerFiles, TEST_TIMEOUT, WellBehavedClient, account,
    is_selected, mebibytes, password_hash, percentile, to_f64,
};
use tokio::time::sleep;

use self::attackers::{ATTACKERS, BruteForce};

/// The duration of each attack.
const ATTACK_TIME: Duration = Duration::from_secs(10);

/// The number of hashing workers. The server is pinned to one CPU, for which the default is one
/// worker.
const WORKERS: u32 = 2;

/// The echo latency limit, in milliseconds.
const ECHO_LIMIT: f64 = 50.0;

/// The least number of refused guesses: ten times the number that can be verified.
const REFUSED: f64 = 5000.0;

/// The memory limit of a worker, in MiB: one hash of the default cost, and less than a second one.
const WORKER_MIB: f64 = 20.0;

/// The limit for all other memory growth, in MiB.
const OTHER_MIB: f64 = 8.0;

/// An attack: the number of source addresses and the failure budget of each.
struct Scenario {
    name: &'static str,
    addresses: usize,
    budget: Option<u32>,
    expected_refusal: ExpectedRefusal,
}

/// The reason why nearly all guesses are refused.
enum ExpectedRefusal {
    OverBudget,
    QueueFull,
}

const SCENARIOS: [Scenario; 3] = [
    Scenario {
        name: "one address",
        addresses: 1,
        budget: Some(20),
        expected_refusal: ExpectedRefusal::OverBudget,
    },
    Scenario {
        name: "200 addresses",
        addresses: ATTACKERS,
        budget: Some(20),
        expected_refusal: ExpectedRefusal::QueueFull,
    },
    Scenario {
        name: "one address, no budget",
        addresses: 1,
        budget: None,
        expected_refusal: ExpectedRefusal::QueueFull,
    },
];

/// The time until a failure is forgiven, in seconds.
const FAILURE_DECAY: f64 = 3.0;

/// The credentials of the well-behaved session.
const CLIENT_CREDENTIALS: &str = "client:session";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let pinning = CpuPinning::first_two_cpus();
    let mut report = BenchReport::default();
    for scenario in SCENARIOS {
        if is_selected(scenario.name) {
            run(&scenario, pinning, &mut report).await;
        }
    }
    if is_selected(right_logins::NAME) {
        right_logins::run(pinning, &mut report).await;
    }
    report.exit_code()
}

async fn run(scenario: &Scenario, pinning: CpuPinning, report: &mut BenchReport) {
    let files = ServerFiles::new(&scenario.configuration(), &accounts());
    let bench_server = BenchServer::configured(&files, pinning).await;
    let server = &bench_server.process;
    let before = server.resident_bytes();
    let mut well_behaved = WellBehavedClient::new(server, CLIENT_CREDENTIALS).await;
    let connected = server.descriptors();

    let brute_force = BruteForce::start(server.address, scenario.addresses);
    let start = Instant::now();
    while start.elapsed() < ATTACK_TIME {
        well_behaved.echo().await;
    }
    let seconds = start.elapsed().as_secs_f64();
    let counters = brute_force.stop();
    let peak = server.peak_resident_bytes();
    while server.descriptors() > connected {
        assert!(
            start.elapsed() < ATTACK_TIME + TEST_TIMEOUT,
            "connections of the attackers stay open"
        );
        sleep(Duration::from_millis(10)).await;
    }
    let after = server.resident_bytes();

    let name = scenario.name;
    let wrong = to_f64(counters.wrong.load(Ordering::Relaxed));
    println!(
        "{name}: {wrong:.0} guesses verified ({:.1} per second), {} over the budget, {} with a full \
         queue, {} other outcomes",
        wrong / seconds,
        counters.over_budget.load(Ordering::Relaxed),
        counters.busy.load(Ordering::Relaxed),
        counters.other.load(Ordering::Relaxed),
    );
    println!(
        "{name}: {:.1} MiB before, {:.1} maximum, {:.1} after",
        mebibytes(before),
        mebibytes(peak),
        mebibytes(after)
    );
    // Checks that the attack reached the limit that it is meant to test.
    let refused = match scenario.expected_refusal {
        ExpectedRefusal::OverBudget => ("over the budget", &counters.over_budget),
        ExpectedRefusal::QueueFull => ("with a full queue", &counters.busy),
    };
    report.at_least(
        &format!("{name}: guesses refused {}", refused.0),
        to_f64(refused.1.load(Ordering::Relaxed)),
        REFUSED,
    );
    let latencies = well_behaved.latencies();
    println!(
        "{name}: {} echoes, maximum {:.1} ms",
        latencies.len(),
        percentile(latencies, 100)
    );
    report.at_most(
        &format!("{name}: ms per echo, 99th percentile"),
        percentile(latencies, 99),
        ECHO_LIMIT,
    );
    report.at_most(
        &format!("{name}: additional MiB"),
        mebibytes(peak.saturating_sub(before)),
        f64::from(WORKERS) * WORKER_MIB + OTHER_MIB,
    );
    if let Some(budget) = scenario.budget {
        let of_each = f64::from(budget) + seconds / FAILURE_DECAY;
        // Each worker may verify a guess that was admitted before the last failure was counted.
        report.at_most(
            &format!("{name}: guesses verified"),
            wrong,
            of_each * to_f64(scenario.addresses as u64) + f64::from(WORKERS),
        );
    }
}

impl Scenario {
    /// Returns the configuration. It lifts the limit of unauthenticated connections per address,
    /// which would stop the attack first.
    fn configuration(&self) -> String {
        let budget = match self.budget {
            Some(budget) => budget.to_string(),
            None => "\"off\"".to_owned(),
        };
        format!(
            "[login]\n\
             max_failures_per_address = {budget}\n\
             failure_decay = \"{FAILURE_DECAY}s\"\n\
             hash_workers = {WORKERS}\n\
             [limits]\n\
             max_unauthenticated_per_address = \"off\"\n"
        )
    }
}

/// Returns two accounts with hashes of the default cost.
fn accounts() -> String {
    let (name, password) = CLIENT_CREDENTIALS
        .split_once(':')
        .expect("the line has a colon");
    let users = [(name, password), ("admin", "not guessed")];
    let users = users.map(|(name, password)| account(name, &password_hash(password)));
    users.concat()
}
