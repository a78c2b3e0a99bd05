//! Two builds of the server, measured in alternating rounds.
//!
//! `BENCH_AGAINST` names the binary of the other build, relative to the root of the workspace. Both
//! builds must have the same profile and come from the same package: `cargo build --release -p
//! integration-tests --bin e2e-ws-server`.

#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]

use std::path::PathBuf;

use crate::{BenchReport, BenchServer, CpuPinning, median, root, server_binary};

/// The environment variable with the path of the other build.
const VARIABLE: &str = "BENCH_AGAINST";

/// The greatest ratio that counts as noise.
const NOISE_RATIO: f64 = 1.03;

/// A comparison of this build of the server with another one.
#[derive(Debug)]
pub struct Comparison {
    baseline: PathBuf,
    pinning: CpuPinning,
}

/// The measurements of two builds, a pair for each round.
#[derive(Debug)]
pub struct PairedResults {
    ours: Vec<f64>,
    baseline: Vec<f64>,
}

impl Comparison {
    /// Returns the comparison that the environment requests, if any.
    pub fn from_env(pinning: CpuPinning) -> Option<Self> {
        let path = root().join(std::env::var_os(VARIABLE)?);
        assert!(
            path.is_file(),
            "{VARIABLE}: {} is not a file",
            path.display()
        );
        println!("ws-server: {}", server_binary());
        println!("baseline:  {}", path.display());
        Some(Self {
            baseline: path,
            pinning,
        })
    }

    /// Measures a new process of each build in each round. The order alternates.
    pub async fn measure(
        &self,
        rounds: usize,
        measurement: impl AsyncFn(BenchServer) -> f64,
    ) -> PairedResults {
        let (mut ours, mut baseline) = (Vec::new(), Vec::new());
        for round in 0..rounds {
            for turn in 0..2 {
                if (round + turn) % 2 == 0 {
                    ours.push(measurement(BenchServer::with_defaults(self.pinning).await).await);
                } else {
                    let bench_server = BenchServer::baseline(&self.baseline, self.pinning).await;
                    baseline.push(measurement(bench_server).await);
                }
            }
        }
        PairedResults { ours, baseline }
    }
}

impl PairedResults {
    /// Reports a measurement whose ratio has an upper limit.
    pub fn at_most(&self, what: &str, report: &mut BenchReport) {
        report.at_most(what, self.print(what), NOISE_RATIO);
    }

    /// Reports a measurement whose ratio has a lower limit.
    pub fn at_least(&self, what: &str, report: &mut BenchReport) {
        report.at_least(what, self.print(what), 1.0 / NOISE_RATIO);
    }

    /// Prints both medians and the quartiles of the ratios of each pair. Returns the median of these
    /// ratios: a machine that changes its speed in the middle changes it for both of a pair.
    fn print(&self, what: &str) -> f64 {
        let (ours, baseline) = (median(&self.ours), median(&self.baseline));
        let pairs = self.ours.iter().zip(&self.baseline);
        let mut ratios: Vec<f64> = pairs.map(|(ours, baseline)| ours / baseline).collect();
        ratios.sort_by(f64::total_cmp);
        let quarter = ratios.len() / 4;
        let (low, high) = (ratios[quarter], ratios[ratios.len() - 1 - quarter]);
        println!("{what}: medians {ours:.2}, baseline {baseline:.2}");
        println!("{what}: quartiles of the ratios {low:.3} and {high:.3}");
        median(&ratios)
    }
}
