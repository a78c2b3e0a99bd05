//! The results of a benchmark and their limits.

#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]

use std::{process::ExitCode, time::Duration};

/// Converts a count, which must be less than 2^52.
#[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
pub fn to_f64(count: u64) -> f64 {
    count as f64
}

/// Converts bytes to MiB.
pub fn mebibytes(bytes: u64) -> f64 {
    to_f64(bytes) / (1024.0 * 1024.0)
}

/// Returns the median.
pub fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Returns this percentile of the times, in milliseconds.
pub fn percentile(times: &[Duration], percent: usize) -> f64 {
    let mut times = times.to_vec();
    times.sort();
    let index = (times.len() * percent).div_ceil(100).saturating_sub(1);
    times[index].as_secs_f64() * 1e3
}

/// Returns whether a row of a benchmark should run. An argument selects the rows whose names
/// contain it.
pub fn is_selected(name: &str) -> bool {
    // Cargo adds options of its own.
    let mut wanted = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with("--"));
    wanted.next().is_none_or(|wanted| name.contains(&wanted))
}

/// A report that prints each value with its limit, and records whether one exceeds it.
#[derive(Debug, Default)]
pub struct BenchReport {
    has_failures: bool,
}

impl BenchReport {
    /// Reports a value with an upper limit.
    pub fn at_most(&mut self, what: &str, value: f64, limit: f64) {
        self.line(what, value, "at most", limit, value <= limit);
    }

    /// Reports a value with a lower limit.
    pub fn at_least(&mut self, what: &str, value: f64, limit: f64) {
        self.line(what, value, "at least", limit, value >= limit);
    }

    /// Returns the exit code of the benchmark: failure if a value exceeded its limit.
    pub fn exit_code(&self) -> ExitCode {
        if self.has_failures {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        }
    }

    /// Prints a row. NaN exceeds every limit.
    fn line(&mut self, what: &str, value: f64, bound: &str, limit: f64, is_within: bool) {
        let verdict = if is_within { "ok" } else { "OVER THE LIMIT" };
        println!("{what}: {value:.3}, {bound} {limit:.3}: {verdict}");
        self.has_failures |= !is_within;
    }
}
