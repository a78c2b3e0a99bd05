//! What a message costs: processor time of the server for each, beside a server that is written the
//! plain way and one that does the least, in turns. An argument selects the rows whose names hold it.
//!
//! `BENCH_AGAINST=PATH` compares it with another build of the server instead, row by row, in turns.

#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]

use std::process::ExitCode;

use integration_tests::{
    ATTEMPTS, BenchReport, BenchServer, Comparison, CpuPinning, ROUNDS, WORKLOADS, Workload,
    is_selected, median, message_cost,
};

/// The turns of each of two builds. They differ by less than the plain server does.
const COMPARED_ROUNDS: usize = 21;

/// The limits of the cost of a message.
struct Limit {
    /// The greatest share of what it costs the plain server.
    of_plain: f64,
    /// The multiple of the bare server's cost that is allowed where that alone is beyond the limit. The
    /// share of the plain one's time that goes to the system differs from machine to machine.
    times_bare: Option<f64>,
}

/// The limits of [`WORKLOADS`].
const LIMITS: [Limit; 4] = [
    Limit {
        of_plain: 0.6,
        times_bare: Some(1.25),
    },
    Limit {
        of_plain: 0.08,
        times_bare: None,
    },
    Limit {
        of_plain: 0.75,
        times_bare: None,
    },
    Limit {
        of_plain: 1.1,
        times_bare: None,
    },
];

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let pinning = CpuPinning::first_two_cpus();
    let mut report = BenchReport::default();
    let comparison = Comparison::from_env(pinning);
    let rows = WORKLOADS.into_iter().zip(LIMITS);
    for (workload, limit) in rows.filter(|(workload, _)| is_selected(workload.name)) {
        println!("{}", workload.name);
        if let Some(comparison) = &comparison {
            let cost = comparison
                .measure(COMPARED_ROUNDS, async |bench_server| {
                    message_cost(bench_server, workload).await
                })
                .await;
            cost.at_most("  us a message, times those before", &mut report);
            continue;
        }
        let (mut of_plain, mut of_bare) = measure(workload, pinning).await;
        for _ in 1..ATTEMPTS {
            if of_plain <= limit.share(of_plain, of_bare) {
                break;
            }
            println!("  {of_plain:.3} of the plain one; once more");
            (of_plain, of_bare) = measure(workload, pinning).await;
        }
        println!("  {of_bare:.2} of the bare one");
        let share = limit.share(of_plain, of_bare);
        report.at_most("  share of the plain one", of_plain, share);
    }
    report.exit_code()
}

impl Limit {
    /// Returns the limit of the share of the plain server, where these shares were measured.
    fn share(&self, of_plain: f64, of_bare: f64) -> f64 {
        let least = self.times_bare.map(|times| times * of_plain / of_bare);
        least.map_or(self.of_plain, |least| least.max(self.of_plain))
    }
}

/// What a message costs beside the plain server and the bare one: the medians of what each round has
/// found, in which they have their turns one after the other.
async fn measure(workload: Workload, pinning: CpuPinning) -> (f64, f64) {
    let (mut of_plain, mut of_bare) = (Vec::new(), Vec::new());
    // New processes each time: where their memory lies makes a difference of a third.
    for _ in 0..ROUNDS {
        let ours = message_cost(BenchServer::with_defaults(pinning).await, workload).await;
        let plain = message_cost(BenchServer::plain(pinning).await, workload).await;
        let bare = message_cost(BenchServer::bare(pinning).await, workload).await;
        of_plain.push(ours / plain);
        of_bare.push(ours / bare);
    }
    (median(&of_plain), median(&of_bare))
}
