//! A quiet user beside 300 users who send messages of 1 MiB as fast as the server reads them. Measures the
//! quiet user's latency. Then measures the server's CPU time per message of one such user alone. An
//! argument selects the rows whose names contain it.
//!
//! `BENCH_AGAINST=PATH` compares both with another build of the server.

#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use futures::future::{pending, try_join};
use integration_tests::{
    ATTEMPTS, BackgroundWork, BenchReport, BenchServer, Comparison, CpuPinning, ROUNDS, Workload,
    connect_from, echoed, is_selected, loopback_address, median, message_cost, percentile, to_f64,
};
use raw_peer::{RawPeer, frame};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::tcp::{OwnedReadHalf, OwnedWriteHalf},
    task::spawn_local,
    time::{MissedTickBehavior, interval, sleep},
};

/// The users who send long messages.
const BULK_USERS: usize = 300;

/// The length of their messages.
const BULK_BYTES: usize = 1024 * 1024;

/// The interval of the quiet user's messages.
const INTERVAL: Duration = Duration::from_millis(10);

/// The time for the first messages of all users.
const WARM_UP: Duration = Duration::from_secs(3);

/// The duration of the measurement.
const TIME: Duration = Duration::from_secs(15);

/// The echo latency limit of the quiet user, in milliseconds.
const QUIET_LIMIT: f64 = 50.0;

/// The least number of long messages in a second. Fewer are no load.
const BULK_RATE: f64 = 100.0;

/// The load of one user alone.
const ALONE: Workload = Workload {
    name: "alone: 1 MiB, 1 connection, 4 in flight",
    connections: 1,
    in_flight: 4,
    bytes: BULK_BYTES,
};

/// The greatest ratio of its cost to that of the ordinary server.
const ALONE_LIMIT: f64 = 1.1;

/// The rounds of two compared builds.
const COMPARED_ROUNDS: usize = 15;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let pinning = CpuPinning::first_two_cpus();
    let mut report = BenchReport::default();
    let comparison = Comparison::from_env(pinning);
    let crowd = "crowd: 1 quiet user, 300 users with 1 MiB";
    if is_selected(crowd) {
        println!("{crowd}");
        if let Some(comparison) = &comparison {
            let latency = comparison
                .measure(3, async |bench_server| {
                    Crowd::measure(bench_server).await.p99()
                })
                .await;
            latency.at_most("  ms per echo, 99th percentile", &mut report);
        } else {
            let crowd = Crowd::measure(BenchServer::with_defaults(pinning).await).await;
            let what = "  ms per echo of the quiet user, 99th percentile";
            report.at_most(what, crowd.p99(), QUIET_LIMIT);
            let what = "  long messages per second";
            report.at_least(what, crowd.bulk_rate, BULK_RATE);
        }
    }
    if is_selected(ALONE.name) {
        println!("{}", ALONE.name);
        if let Some(comparison) = &comparison {
            let cost = comparison
                .measure(COMPARED_ROUNDS, async |bench_server| {
                    message_cost(bench_server, ALONE).await
                })
                .await;
            cost.at_most("  us per message, ratio to the baseline", &mut report);
        } else {
            let mut of_plain = alone_of_plain(pinning).await;
            for _ in 1..ATTEMPTS {
                if of_plain <= ALONE_LIMIT {
                    break;
                }
                println!("  {of_plain:.3} of the ordinary server; measuring again");
                of_plain = alone_of_plain(pinning).await;
            }
            let what = "  ratio to the ordinary server";
            report.at_most(what, of_plain, ALONE_LIMIT);
        }
    }
    report.exit_code()
}

/// Returns the cost relative to the ordinary server: the median over the rounds.
async fn alone_of_plain(pinning: CpuPinning) -> f64 {
    let mut ratios = Vec::new();
    for _ in 0..ROUNDS {
        let ours = message_cost(BenchServer::with_defaults(pinning).await, ALONE).await;
        let plain = message_cost(BenchServer::plain(pinning).await, ALONE).await;
        ratios.push(ours / plain);
    }
    median(&ratios)
}

/// The results of the quiet user beside the others.
struct Crowd {
    latencies: Vec<Duration>,
    /// The long messages answered in a second.
    bulk_rate: f64,
}

impl Crowd {
    async fn measure(bench_server: BenchServer) -> Self {
        let server = &bench_server.process;
        let mut quiet = RawPeer::new(bench_server.log_in().await);
        let answered = Arc::<AtomicU64>::default();
        let shared = Arc::clone(&answered);
        let address = server.address;
        let users = BackgroundWork::start(move || run_bulk_users(address, shared));
        sleep(WARM_UP).await;
        let (start, before) = (Instant::now(), answered.load(Ordering::Relaxed));
        let worked_before = server.processor_time();
        let mut latencies = Vec::new();
        let mut ticks = interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while start.elapsed() < TIME {
            ticks.tick().await;
            // 64 bytes, different each time.
            let text = format!("{:064}", latencies.len());
            let sent = Instant::now();
            quiet.send(frame::text(&text)).await;
            assert_eq!(quiet.text().await, echoed(&text));
            latencies.push(sent.elapsed());
        }
        let seconds = start.elapsed().as_secs_f64();
        let messages = to_f64(answered.load(Ordering::Relaxed) - before);
        let worked = server.processor_time().saturating_sub(worked_before);
        users.stop();
        let crowd = Self {
            latencies,
            bulk_rate: messages / seconds,
        };
        println!(
            "  {:9} {} echoes: median {:.1} ms, 99th percentile {:.1} ms, maximum {:.1} ms; {:.0} \
             long messages per second, {:.0} us each",
            bench_server.name,
            crowd.latencies.len(),
            percentile(&crowd.latencies, 50),
            crowd.p99(),
            percentile(&crowd.latencies, 100),
            crowd.bulk_rate,
            worked.as_secs_f64() * 1e6 / messages,
        );
        crowd
    }

    fn p99(&self) -> f64 {
        percentile(&self.latencies, 99)
    }
}

/// Runs all users with long messages until the task is dropped.
async fn run_bulk_users(server: SocketAddr, answered: Arc<AtomicU64>) -> Infallible {
    let text = "x".repeat(BULK_BYTES);
    let request: Arc<[u8]> = frame::text(&text).into();
    let reply = echoed(&text);
    // A text frame with a length of 64 bits.
    let header = [&[0x81, 127], &(reply.len() as u64).to_be_bytes()[..]].concat();
    let reply: Arc<[u8]> = [header, reply.into_bytes()].concat().into();
    for number in 0..BULK_USERS {
        let (request, reply) = (Arc::clone(&request), Arc::clone(&reply));
        let answered = Arc::clone(&answered);
        spawn_local(async move {
            // Below the cap of connections that are not logged in.
            let stream = connect_from(loopback_address(1 + number / 50), server).await;
            let mut peer = RawPeer::new(stream.expect("the server accepts"));
            peer.log_in().await;
            let (reader, writer) = peer.into_inner().into_split();
            let flooded = try_join(
                send_endlessly(writer, &request),
                check_replies(reader, &reply, &answered),
            );
            let Err(error) = flooded.await;
            panic!("the connection failed: {error}");
        });
    }
    pending().await
}

/// Sends messages as fast as the server reads them.
async fn send_endlessly(mut writer: OwnedWriteHalf, request: &[u8]) -> io::Result<Infallible> {
    loop {
        writer.write_all(request).await?;
    }
}

/// Checks and counts the replies.
async fn check_replies(
    mut reader: OwnedReadHalf,
    reply: &[u8],
    answered: &AtomicU64,
) -> io::Result<Infallible> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let mut left = reply;
        while !left.is_empty() {
            let most = left.len().min(buffer.len());
            let read = reader.read(&mut buffer[..most]).await?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            assert!(buffer[..read] == left[..read], "a reply is wrong");
            left = &left[read..];
        }
        answered.fetch_add(1, Ordering::Relaxed);
    }
}
