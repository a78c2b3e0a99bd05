//! Many who guess passwords as fast as they can, how long an honest session waits for its echoes
//! meanwhile, and how much memory the hashing takes: from one address, from so many that no budget
//! helps, and from one without a budget.

#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]

mod attackers;

use std::{
    fs,
    process::ExitCode,
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use integration_tests::{
    BenchReport, BenchServer, CpuPinning, ServerProcess, TEST_TIMEOUT, WellBehavedClient,
    percentile,
};
use proto::{password::PasswordHash, secret::Secret};
use tokio::time::sleep;

use self::attackers::{ATTACKERS, BruteForce};

/// How long the flood lasts.
const ATTACK_TIME: Duration = Duration::from_secs(10);

/// How many passwords are hashed at a time. All of the server runs on one processor, on which this
/// is one more than it would take.
const WORKERS: u32 = 2;

/// How long the honest session may wait for an echo, in milliseconds.
const ECHO_LIMIT: f64 = 50.0;

/// How many guesses are refused at least, ten times as many as could be verified.
const REFUSED: f64 = 5000.0;

/// What a worker may hold, in MiB: the memory of one hash, and less than one beside it.
const WORKER_MIB: f64 = 20.0;

/// What else may come to be held, in MiB.
const OTHER_MIB: f64 = 8.0;

/// Where guesses come from, and how many of an address may be wrong before it must wait.
struct Scenario {
    name: &'static str,
    addresses: usize,
    budget: Option<u32>,
    expected_refusal: ExpectedRefusal,
}

/// Why nearly all guesses are refused.
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

/// How long it takes until a failure is forgiven, in seconds.
const FAILURE_DECAY: f64 = 3.0;

/// Whom the honest session is of.
const CLIENT_CREDENTIALS: &str = "client:session";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let pinning = CpuPinning::first_two_cpus();
    let mut report = BenchReport::default();
    for scenario in SCENARIOS {
        run(&scenario, pinning, &mut report).await;
    }
    report.exit_code()
}

async fn run(scenario: &Scenario, pinning: CpuPinning, report: &mut BenchReport) {
    let directory = ServerProcess::config_directory(&scenario.configuration());
    fs::write(directory.path().join("credentials.toml"), accounts()).expect("it can be written");
    let configuration = directory.path().join("server.toml");
    let bench_server = BenchServer::configured(&configuration, pinning).await;
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
            "guessers that are gone stay"
        );
        sleep(Duration::from_millis(10)).await;
    }
    let after = server.resident_bytes();

    let name = scenario.name;
    let wrong = to_f64(counters.wrong.load(Ordering::Relaxed));
    println!(
        "{name}: {wrong:.0} guesses verified ({:.1} a second), {} over the budget, {} while too many \
         waited, {} came to nothing",
        wrong / seconds,
        counters.over_budget.load(Ordering::Relaxed),
        counters.busy.load(Ordering::Relaxed),
        counters.other.load(Ordering::Relaxed),
    );
    println!(
        "{name}: {:.1} MiB before, {:.1} at most, {:.1} after",
        mib(before),
        mib(peak),
        mib(after)
    );
    // Otherwise it would not be known what they were up against.
    let refused = match scenario.expected_refusal {
        ExpectedRefusal::OverBudget => ("over the budget", &counters.over_budget),
        ExpectedRefusal::QueueFull => ("while too many waited", &counters.busy),
    };
    report.at_least(
        &format!("{name}: guesses refused {}", refused.0),
        to_f64(refused.1.load(Ordering::Relaxed)),
        REFUSED,
    );
    let latencies = well_behaved.latencies();
    println!(
        "{name}: {} echoes, at worst one took {:.1} ms",
        latencies.len(),
        percentile(latencies, 100)
    );
    report.at_most(
        &format!("{name}: ms for an echo, 99th percentile"),
        percentile(latencies, 99),
        ECHO_LIMIT,
    );
    report.at_most(
        &format!("{name}: MiB more than before"),
        mib(peak.saturating_sub(before)),
        f64::from(WORKERS) * WORKER_MIB + OTHER_MIB,
    );
    if let Some(budget) = scenario.budget {
        let of_each = f64::from(budget) + seconds / FAILURE_DECAY;
        // Each worker may be at a guess that was allowed before the last failure was counted.
        report.at_most(
            &format!("{name}: guesses verified"),
            wrong,
            of_each * to_f64(scenario.addresses as u64) + f64::from(WORKERS),
        );
    }
}

impl Scenario {
    /// The guessers that one address may have are not what is tried here.
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

/// Two accounts, with hashes of the default cost.
fn accounts() -> String {
    let (name, password) = CLIENT_CREDENTIALS
        .split_once(':')
        .expect("it is a credentials line");
    let users = [(name, password), ("admin", "nobody guesses this")];
    let users = users.map(|(name, password)| {
        let hash = PasswordHash::new(&Secret::new(password), [7; 16]);
        format!("[[user]]\nname = \"{name}\"\npassword_hash = \"{hash}\"\n")
    });
    users.concat()
}

fn mib(bytes: u64) -> f64 {
    to_f64(bytes) / (1024.0 * 1024.0)
}

#[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
fn to_f64(count: u64) -> f64 {
    count as f64
}
