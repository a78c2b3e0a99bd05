//! What a message costs over TLS, and what an idle session holds: beside Bun, in turns, with the same
//! certificate, version and cipher. An argument selects the rows whose names hold it.

#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]

use std::{process::ExitCode, time::Duration};

use integration_tests::{
    Authority, CERTIFICATE, CONFIGURATION, Contender, Files, Load, NAME, PRIVATE_KEY, Processors,
    Report, TlsClient, Work, accounts, median, wanted_row,
};

const KIB: usize = 1024;

/// How often each server has its turn, and for how long each time.
const ROUNDS: usize = 5;
const TURN: Duration = Duration::from_secs(2);

/// How often a row is measured that is beyond its limit. On a machine that others use as well, whole
/// minutes are worse than others; what is worse by itself stays so.
const ATTEMPTS: usize = 5;

/// How many sessions do nothing while the memory is looked at.
const IDLE: usize = 2000;

struct Row {
    name: &'static str,
    work: Work,
    /// The greatest share that a message may cost of what it costs Bun.
    limit: f64,
}

const ROWS: [Row; 4] = [
    Row {
        name: "64 B, 100 connections, 1 in flight",
        work: Work {
            connections: 100,
            in_flight: 1,
            bytes: 64,
        },
        limit: 1.2,
    },
    Row {
        name: "64 B, 100 connections, 64 in flight",
        work: Work {
            connections: 100,
            in_flight: 64,
            bytes: 64,
        },
        limit: 1.2,
    },
    Row {
        name: "16 KiB, 100 connections, 1 in flight",
        work: Work {
            connections: 100,
            in_flight: 1,
            bytes: 16 * KIB,
        },
        limit: 1.2,
    },
    Row {
        name: "1 MiB, 4 connections, 4 in flight",
        work: Work {
            connections: 4,
            in_flight: 4,
            bytes: KIB * KIB,
        },
        limit: 1.2,
    },
];

/// What the memory of an idle session may be, of what it is with Bun. The stream of tokio-rustls keeps
/// a buffer of 4 KiB for what it reads, and Bun has one for all connections.
const MEMORY_LIMIT: f64 = 1.7;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let secured = Secured::new();
    let mut report = Report::default();
    for row in ROWS.iter().filter(|row| wanted_row(row.name)) {
        println!("{}", row.name);
        let mut share = secured.share(row.work).await;
        for _ in 1..ATTEMPTS {
            if share <= row.limit {
                break;
            }
            println!("  {share:.3} of Bun's; once more");
            share = secured.share(row.work).await;
        }
        report.at_most("  share of Bun's", share, row.limit);
    }
    if wanted_row("idle") {
        let (ours, bun) = (secured.ours().await, secured.bun().await);
        let (ours, bun) = (secured.held(ours).await, secured.held(bun).await);
        println!("bytes of an idle session, of {IDLE}: ours {ours:.0}, Bun's {bun:.0}");
        report.at_most("  share of Bun's", ours / bun, MEMORY_LIMIT);
    }
    report.exit_code()
}

/// The files of both servers, and who trusts them.
struct Secured {
    files: Files,
    client: TlsClient,
    processors: Processors,
}

impl Secured {
    fn new() -> Self {
        let authority = Authority::new();
        let issued = authority.issue(&[NAME]);
        let accounts = accounts(&[("admin", "123456")]);
        Self {
            files: Files::with_tls("", &accounts, &issued),
            client: TlsClient::comparing(&authority),
            processors: Processors::two(),
        }
    }

    async fn ours(&self) -> Contender {
        let configuration = self.files.path(CONFIGURATION);
        let contender = Contender::configured(&configuration, self.processors).await;
        contender.reached_by(&self.client)
    }

    async fn bun(&self) -> Contender {
        let [certificate, private_key] = [CERTIFICATE, PRIVATE_KEY].map(|it| self.files.path(it));
        Contender::bun_over_tls(&certificate, &private_key, &self.client, self.processors).await
    }

    /// What a message costs of what it costs Bun: the median of what each round has found, in which
    /// both have their turns one after the other.
    async fn share(&self, work: Work) -> f64 {
        let mut shares = Vec::new();
        // New processes each time: where their memory lies makes a difference.
        for _ in 0..ROUNDS {
            let ours = cost(self.ours().await, work).await;
            let bun = cost(self.bun().await, work).await;
            shares.push(ours / bun);
        }
        median(&shares)
    }

    /// How many bytes a server holds for each session that does nothing.
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
    async fn held(&self, contender: Contender) -> f64 {
        // What the server sets up once is not to be counted.
        let mut peers = Vec::new();
        for _ in 0..10 {
            peers.push(contender.logged_in_over_tls(&self.client).await);
        }
        let before = contender.server.resident_bytes();
        for _ in 0..IDLE {
            peers.push(contender.logged_in_over_tls(&self.client).await);
        }
        let more = contender.server.resident_bytes().saturating_sub(before);
        more as f64 / IDLE as f64
    }
}

/// Microseconds of a server's processor time for a message.
#[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
async fn cost(contender: Contender, work: Work) -> f64 {
    let mut load = Load::new(&contender, work).await;
    // The first messages pay for memory that later ones find.
    load.work_for(TURN / 4).await;
    let before = contender.server.processor_time();
    let messages = load.work_for(TURN).await;
    let worked = contender.server.processor_time().saturating_sub(before);
    let cost = worked.as_secs_f64() * 1e6 / messages as f64;
    println!(
        "  {:9} {cost:8.2} us a message, {messages:8} messages, busy {:3.0} %",
        contender.name,
        100.0 * worked.as_secs_f64() / TURN.as_secs_f64()
    );
    cost
}
