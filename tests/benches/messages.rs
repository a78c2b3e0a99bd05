//! The server's CPU time per message. Compares it with an ordinary server and a minimal one, in
//! alternating rounds. An argument selects the rows whose names contain it.
//!
//! `BENCH_AGAINST=PATH` compares it with another build of the server instead, row by row.

#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]

use std::process::ExitCode;

use integration_tests::{
    ATTEMPTS, BenchReport, BenchServer, Comparison, CpuPinning, ROUNDS, WORKLOADS, Workload,
    is_selected, median, message_cost,
};

/// The rounds of two compared builds. Their difference is smaller than that to the ordinary server.
const COMPARED_ROUNDS: usize = 21;

/// The limits of the cost of a message.
struct Limit {
    /// The greatest ratio to the cost of the ordinary server.
    of_plain: f64,
    /// The allowed multiple of the minimal server's cost, where that alone exceeds the limit. The
    /// system's share of the ordinary server's time differs between machines.
    times_bare: Option<f64>,
}

/// The limits of [`WORKLOADS`].
const LIMITS: [Limit; 4] = [
    Limit {
        of_plain: 0.6,
        times_bare: Some(1.25),
    },
    Limit {
        of_plain: 0.07,
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
            cost.at_most("  us per message, ratio to the baseline", &mut report);
            continue;
        }
        let (mut of_plain, mut of_bare) = measure(workload, pinning).await;
        for _ in 1..ATTEMPTS {
            if of_plain <= limit.share(of_plain, of_bare) {
                break;
            }
            println!("  {of_plain:.3} of the ordinary server; measuring again");
            (of_plain, of_bare) = measure(workload, pinning).await;
        }
        println!("  {of_bare:.2} of the minimal server");
        let share = limit.share(of_plain, of_bare);
        report.at_most("  ratio to the ordinary server", of_plain, share);
    }
    report.exit_code()
}

impl Limit {
    /// Returns the limit of the ratio to the ordinary server, given the measured ratios.
    fn share(&self, of_plain: f64, of_bare: f64) -> f64 {
        let least = self.times_bare.map(|times| times * of_plain / of_bare);
        least.map_or(self.of_plain, |least| least.max(self.of_plain))
    }
}

/// Returns the cost relative to the ordinary and to the minimal server. Both are medians over the
/// rounds.
async fn measure(workload: Workload, pinning: CpuPinning) -> (f64, f64) {
    let (mut of_plain, mut of_bare) = (Vec::new(), Vec::new());
    // Each measurement has its own process: the memory layout changes the cost by up to a third.
    for _ in 0..ROUNDS {
        let ours = message_cost(BenchServer::with_defaults(pinning).await, workload).await;
        let plain = message_cost(BenchServer::plain(pinning).await, workload).await;
        let bare = message_cost(BenchServer::bare(pinning).await, workload).await;
        of_plain.push(ours / plain);
        of_bare.push(ours / bare);
    }
    (median(&of_plain), median(&of_bare))
}
