//! What a benchmark found, beside what it may find.

#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]

use std::{process::ExitCode, time::Duration};

/// The value in the middle.
pub fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The time in milliseconds that so many percent are not beyond.
pub fn percentile(times: &[Duration], percent: usize) -> f64 {
    let mut times = times.to_vec();
    times.sort();
    let index = (times.len() * percent).div_ceil(100).saturating_sub(1);
    times[index].as_secs_f64() * 1e3
}

/// Whether a row of a benchmark is to be run: all are, unless an argument says what their names
/// hold.
pub fn is_selected(name: &str) -> bool {
    // Cargo adds options of its own.
    let mut wanted = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with("--"));
    wanted.next().is_none_or(|wanted| name.contains(&wanted))
}

/// Prints each value with its limit, and remembers whether one was beyond it.
#[derive(Debug, Default)]
pub struct BenchReport {
    has_failures: bool,
}

impl BenchReport {
    /// A value that is to be small.
    pub fn at_most(&mut self, what: &str, value: f64, limit: f64) {
        self.line(what, value, "at most", limit, value <= limit);
    }

    /// A value that is to be great.
    pub fn at_least(&mut self, what: &str, value: f64, limit: f64) {
        self.line(what, value, "at least", limit, value >= limit);
    }

    /// What the benchmark ends with: failure if a value was beyond its limit.
    pub fn exit_code(&self) -> ExitCode {
        if self.has_failures {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        }
    }

    /// A value that is no number is beyond every limit.
    fn line(&mut self, what: &str, value: f64, bound: &str, limit: f64, is_within: bool) {
        let verdict = if is_within { "ok" } else { "BEYOND ITS LIMIT" };
        println!("{what}: {value:.3}, {bound} {limit:.3}: {verdict}");
        self.has_failures |= !is_within;
    }
}
