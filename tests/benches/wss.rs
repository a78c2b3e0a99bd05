//! What a message costs over TLS, and what an idle session holds: beside Bun, in turns, with the same
//! certificate, version and cipher. An argument selects the rows whose names hold it.

#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]

use std::process::ExitCode;

use integration_tests::{
    ATTEMPTS, Authority, BenchReport, BenchServer, CERTIFICATE, CONFIGURATION, CpuPinning,
    PRIVATE_KEY, ROUNDS, SERVER_NAME, ServerFiles, TlsClient, WORKLOADS, Workload, accounts,
    is_selected, median, message_cost,
};

/// How many sessions do nothing while the memory is looked at.
const IDLE: usize = 2000;

/// The greatest share that a message may cost of what it costs Bun.
const LIMIT: f64 = 1.2;

/// What the memory of an idle session may be, of what it is with Bun. The stream of tokio-rustls keeps
/// a buffer of 4 KiB for what it reads, and Bun has one for all connections.
const MEMORY_LIMIT: f64 = 1.7;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let bench = TlsBench::new();
    let mut report = BenchReport::default();
    for workload in WORKLOADS
        .into_iter()
        .filter(|workload| is_selected(workload.name))
    {
        println!("{}", workload.name);
        let mut share = bench.share(workload).await;
        for _ in 1..ATTEMPTS {
            if share <= LIMIT {
                break;
            }
            println!("  {share:.3} of Bun's; once more");
            share = bench.share(workload).await;
        }
        report.at_most("  share of Bun's", share, LIMIT);
    }
    if is_selected("idle") {
        let (ours, bun) = (bench.ours().await, bench.bun().await);
        let (ours, bun) = (
            bench.bytes_per_session(ours).await,
            bench.bytes_per_session(bun).await,
        );
        println!("bytes of an idle session, of {IDLE}: ours {ours:.0}, Bun's {bun:.0}");
        report.at_most("  share of Bun's", ours / bun, MEMORY_LIMIT);
    }
    report.exit_code()
}

/// The files of both servers, and who trusts them.
struct TlsBench {
    files: ServerFiles,
    client: TlsClient,
    pinning: CpuPinning,
}

impl TlsBench {
    fn new() -> Self {
        let authority = Authority::new();
        let issued = authority.issue(&[SERVER_NAME]);
        let accounts = accounts(&[("admin", "123456")]);
        Self {
            files: ServerFiles::with_tls("", &accounts, &issued),
            client: TlsClient::comparing(&authority),
            pinning: CpuPinning::first_two_cpus(),
        }
    }

    async fn ours(&self) -> BenchServer {
        let configuration = self.files.path(CONFIGURATION);
        let bench_server = BenchServer::configured(&configuration, self.pinning).await;
        bench_server.with_tls_client(&self.client)
    }

    async fn bun(&self) -> BenchServer {
        let [certificate, private_key] = [CERTIFICATE, PRIVATE_KEY].map(|it| self.files.path(it));
        BenchServer::bun_over_tls(&certificate, &private_key, &self.client, self.pinning).await
    }

    /// What a message costs of what it costs Bun: the median of what each round has found, in which
    /// both have their turns one after the other.
    async fn share(&self, workload: Workload) -> f64 {
        let mut shares = Vec::new();
        // New processes each time: where their memory lies makes a difference.
        for _ in 0..ROUNDS {
            let ours = message_cost(self.ours().await, workload).await;
            let bun = message_cost(self.bun().await, workload).await;
            shares.push(ours / bun);
        }
        median(&shares)
    }

    /// How many bytes a server holds for each session that does nothing.
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
    async fn bytes_per_session(&self, bench_server: BenchServer) -> f64 {
        // What the server sets up once is not to be counted.
        let mut peers = Vec::new();
        for _ in 0..10 {
            peers.push(bench_server.log_in_over_tls(&self.client).await);
        }
        let before = bench_server.process.resident_bytes();
        for _ in 0..IDLE {
            peers.push(bench_server.log_in_over_tls(&self.client).await);
        }
        let more = bench_server.process.resident_bytes().saturating_sub(before);
        more as f64 / IDLE as f64
    }
}
