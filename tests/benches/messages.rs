//! What a message costs: processor time of the server for each, beside a server that is written the
//! plain way, in turns. An argument selects the rows whose names hold it.

#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]

use std::{process::ExitCode, time::Duration};

use integration_tests::{Contender, Load, Processors, Report, Work};

const KIB: usize = 1024;

/// How often both servers have their turn, and for how long each time.
const ROUNDS: usize = 5;
const TURN: Duration = Duration::from_secs(2);

/// What is done, and the greatest share that it may cost of what it costs the plain server.
const ROWS: [(&str, Work, f64); 4] = [
    (
        "64 B, 100 connections, 1 in flight",
        Work {
            connections: 100,
            in_flight: 1,
            bytes: 64,
        },
        0.6,
    ),
    (
        "64 B, 100 connections, 64 in flight",
        Work {
            connections: 100,
            in_flight: 64,
            bytes: 64,
        },
        0.08,
    ),
    (
        "16 KiB, 100 connections, 1 in flight",
        Work {
            connections: 100,
            in_flight: 1,
            bytes: 16 * KIB,
        },
        0.75,
    ),
    (
        "1 MiB, 4 connections, 4 in flight",
        Work {
            connections: 4,
            in_flight: 4,
            bytes: KIB * KIB,
        },
        1.1,
    ),
];

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let processors = Processors::two();
    let mut report = Report::default();
    let wanted = wanted();
    for (name, work, limit) in ROWS {
        if !name.contains(&wanted) {
            continue;
        }
        let ours = Contender::ours(processors).await;
        let plain = Contender::plain(processors).await;
        let mut ours = Turns::new(ours, work).await;
        let mut plain = Turns::new(plain, work).await;
        for _ in 0..ROUNDS {
            ours.take().await;
            plain.take().await;
        }
        println!("{name}");
        let share = ours.median() / plain.median();
        report.at_most(&format!("{name}: share of the plain one"), share, limit);
    }
    report.exit_code()
}

/// What the name of a row must hold; cargo adds arguments of its own.
fn wanted() -> String {
    let mut arguments = std::env::args().skip(1);
    arguments
        .find(|argument| !argument.starts_with("--"))
        .unwrap_or_default()
}

/// A server, and what each of its turns has cost.
struct Turns {
    contender: Contender,
    load: Load,
    /// Microseconds of processor time for a message, by turn.
    costs: Vec<f64>,
}

impl Turns {
    async fn new(contender: Contender, work: Work) -> Self {
        let mut load = Load::new(&contender, work).await;
        // The first messages pay for memory that later ones find.
        load.work_for(TURN / 4).await;
        Self {
            contender,
            load,
            costs: Vec::new(),
        }
    }

    async fn take(&mut self) {
        let before = self.contender.server.processor_time();
        let start = std::time::Instant::now();
        let messages = self.load.work_for(TURN).await;
        let elapsed = start.elapsed();
        let worked = self.contender.server.processor_time() - before;
        #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
        let cost = worked.as_secs_f64() * 1e6 / messages as f64;
        println!(
            "  {:9} {cost:8.2} us a message, {messages:8} messages, busy {:3.0} %",
            self.contender.name,
            100.0 * worked.as_secs_f64() / elapsed.as_secs_f64()
        );
        self.costs.push(cost);
    }

    fn median(&self) -> f64 {
        let mut costs = self.costs.clone();
        costs.sort_by(f64::total_cmp);
        costs[costs.len() / 2]
    }
}
