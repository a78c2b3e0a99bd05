//! What a message costs: processor time of the server for each, beside a server that is written the
//! plain way and one that does the least, in turns. An argument selects the rows whose names hold it.
//!
//! `BENCH_AGAINST=PATH` compares it with another build of the server instead, row by row, in turns.

#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use integration_tests::{
    Comparison, Contender, Load, Processors, Report, Work, median, wanted_row,
};

const KIB: usize = 1024;

/// How often each server has its turn, and for how long each time.
const ROUNDS: usize = 5;
const TURN: Duration = Duration::from_secs(2);

/// How often two builds have their turn: they differ by less than the plain server does.
const COMPARED_ROUNDS: usize = 21;

/// How often a row is measured that is beyond its limit. On a machine that others use as well, whole
/// minutes are worse than others; what is worse by itself stays so.
const ATTEMPTS: usize = 5;

struct Row {
    name: &'static str,
    work: Work,
    /// The greatest share that a message may cost of what it costs the plain server.
    limit: f64,
    /// How much more than the bare server's a message may cost, where that alone is beyond the
    /// limit: how much of the plain one's time goes to the system differs from machine to machine.
    above_the_least: Option<f64>,
}

const ROWS: [Row; 4] = [
    Row {
        name: "64 B, 100 connections, 1 in flight",
        work: Work {
            connections: 100,
            in_flight: 1,
            bytes: 64,
        },
        limit: 0.6,
        above_the_least: Some(1.25),
    },
    Row {
        name: "64 B, 100 connections, 64 in flight",
        work: Work {
            connections: 100,
            in_flight: 64,
            bytes: 64,
        },
        limit: 0.08,
        above_the_least: None,
    },
    Row {
        name: "16 KiB, 100 connections, 1 in flight",
        work: Work {
            connections: 100,
            in_flight: 1,
            bytes: 16 * KIB,
        },
        limit: 0.75,
        above_the_least: None,
    },
    Row {
        name: "1 MiB, 4 connections, 4 in flight",
        work: Work {
            connections: 4,
            in_flight: 4,
            bytes: KIB * KIB,
        },
        limit: 1.1,
        above_the_least: None,
    },
];

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let processors = Processors::two();
    let mut report = Report::default();
    let comparison = Comparison::wanted(processors);
    for row in ROWS.iter().filter(|row| wanted_row(row.name)) {
        println!("{}", row.name);
        if let Some(comparison) = &comparison {
            let cost = comparison
                .measure(COMPARED_ROUNDS, async |contender| {
                    cost(contender, row.work).await
                })
                .await;
            cost.at_most("  us a message, times those before", &mut report);
            continue;
        }
        let (mut of_plain, mut of_bare) = measure(row, processors).await;
        for _ in 1..ATTEMPTS {
            if of_plain <= row.limit(of_plain, of_bare) {
                break;
            }
            println!("  {of_plain:.3} of the plain one; once more");
            (of_plain, of_bare) = measure(row, processors).await;
        }
        println!("  {of_bare:.2} of the bare one");
        let limit = row.limit(of_plain, of_bare);
        report.at_most("  share of the plain one", of_plain, limit);
    }
    report.exit_code()
}

impl Row {
    /// The limit of the share of the plain server, where these shares were measured.
    fn limit(&self, of_plain: f64, of_bare: f64) -> f64 {
        let least = self.above_the_least.map(|times| times * of_plain / of_bare);
        least.map_or(self.limit, |least| least.max(self.limit))
    }
}

/// What a message costs beside the plain server and the bare one: the medians of what each round has
/// found, in which they have their turns one after the other.
async fn measure(row: &Row, processors: Processors) -> (f64, f64) {
    let (mut of_plain, mut of_bare) = (Vec::new(), Vec::new());
    // New processes each time: where their memory lies makes a difference of a third.
    for _ in 0..ROUNDS {
        let ours = cost(Contender::ours(processors).await, row.work).await;
        let plain = cost(Contender::plain(processors).await, row.work).await;
        let bare = cost(Contender::bare(processors).await, row.work).await;
        of_plain.push(ours / plain);
        of_bare.push(ours / bare);
    }
    (median(&of_plain), median(&of_bare))
}

/// Microseconds of a server's processor time for a message.
async fn cost(contender: Contender, work: Work) -> f64 {
    let mut load = Load::new(&contender, work).await;
    // The first messages pay for memory that later ones find.
    load.work_for(TURN / 4).await;
    let before = contender.server.processor_time();
    let start = Instant::now();
    let messages = load.work_for(TURN).await;
    let elapsed = start.elapsed();
    let worked = contender.server.processor_time().saturating_sub(before);
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
    let cost = worked.as_secs_f64() * 1e6 / messages as f64;
    println!(
        "  {:9} {cost:8.2} us a message, {messages:8} messages, busy {:3.0} %",
        contender.name,
        100.0 * worked.as_secs_f64() / elapsed.as_secs_f64()
    );
    cost
}
