//! A flood of replayed `ClientHello` messages from several addresses. Measures the latency of 20 sessions
//! over TLS meanwhile, and of newcomers that log in.

use std::{
    convert::Infallible,
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use futures::future::{join_all, pending};
use integration_tests::{
    Authority, BackgroundWork, BenchReport, BenchServer, CpuPinning, SERVER_NAME, ServerFiles,
    TEST_TIMEOUT, TlsClient, admin_account, echoed, percentile, to_f64,
};
use raw_peer::{RawPeer, frame};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::spawn_local,
    time::{sleep, timeout},
};
use tokio_rustls::client::TlsStream;

use super::THINK_TIME;

/// The duration of the flood.
const FLOOD_TIME: Duration = Duration::from_secs(10);

/// The source addresses, and the concurrent connections from each: fewer than the cap of an address.
const ADDRESSES: u8 = 8;
const CONNECTIONS: usize = 60;

/// The sessions that exchange messages.
const SESSIONS: usize = 20;

/// The echo latency limit, in milliseconds.
const ECHO_LIMIT: f64 = 20.0;

/// The limit for a newcomer, in milliseconds: the TCP, TLS and HTTP handshakes, the login and the close.
const NEWCOMER_LIMIT: f64 = 100.0;

/// The least number of replayed messages that the server must answer in a second. Fewer are no flood.
const FLOOD_RATE: f64 = 200.0;

pub(crate) async fn run(pinning: CpuPinning, report: &mut BenchReport) {
    let authority = Authority::new();
    let issued = authority.issue(&[SERVER_NAME]);
    let files = ServerFiles::with_tls("", &admin_account(), &issued);
    let client = TlsClient::trusting(&authority);
    let bench_server = BenchServer::configured(&files, pinning).await;
    let mut sessions = Vec::new();
    for _ in 0..SESSIONS {
        sessions.push(bench_server.log_in_over_tls(&client).await);
    }
    let (hello, address) = (client.client_hello(), bench_server.process.address);
    let answered = Arc::<AtomicU64>::default();
    let shared = Arc::clone(&answered);
    let flood = BackgroundWork::start(move || replay(address, hello, shared));
    let start = Instant::now();
    let echoes = join_all(
        sessions
            .iter_mut()
            .map(|session| echo_until(session, start)),
    );
    let newcomers = log_in_until(&bench_server, &client, start);
    let (echoes, (newcomers, failed)) = tokio::join!(echoes, newcomers);
    let seconds = start.elapsed().as_secs_f64();
    flood.stop();

    let echoes = echoes.concat();
    println!(
        "TLS: {} echoes, median {:.1} ms, maximum {:.1} ms; {} newcomers, median {:.1} ms, maximum \
         {:.1} ms",
        echoes.len(),
        percentile(&echoes, 50),
        percentile(&echoes, 100),
        newcomers.len(),
        percentile(&newcomers, 50),
        percentile(&newcomers, 100),
    );
    let rate = to_f64(answered.load(Ordering::Relaxed)) / seconds;
    report.at_least("TLS: replayed messages per second", rate, FLOOD_RATE);
    let echoes = percentile(&echoes, 99);
    report.at_most("TLS: ms per echo, 99th percentile", echoes, ECHO_LIMIT);
    let newcomers = percentile(&newcomers, 99);
    report.at_most(
        "TLS: ms per newcomer, 99th percentile",
        newcomers,
        NEWCOMER_LIMIT,
    );
    report.at_most("TLS: refused newcomers", to_f64(failed), 0.0);
}

/// Exchanges messages on one session. Returns the latency of each.
async fn echo_until(peer: &mut RawPeer<TlsStream<TcpStream>>, start: Instant) -> Vec<Duration> {
    let mut latencies = Vec::new();
    while start.elapsed() < FLOOD_TIME {
        let text = format!("{:064}", latencies.len());
        let sent = Instant::now();
        peer.send(frame::text(&text)).await;
        assert_eq!(peer.text().await, echoed(&text));
        latencies.push(sent.elapsed());
        sleep(THINK_TIME).await;
    }
    latencies
}

/// Connects, logs in and closes, one newcomer after the other. Returns the time of each, and the number
/// of those that failed.
async fn log_in_until(
    bench_server: &BenchServer,
    client: &TlsClient,
    start: Instant,
) -> (Vec<Duration>, u64) {
    let (mut times, mut failed) = (Vec::new(), 0);
    while start.elapsed() < FLOOD_TIME {
        let connected = Instant::now();
        match timeout(TEST_TIMEOUT, client.try_connect(&bench_server.process)).await {
            Ok(Ok(stream)) => {
                let mut peer = RawPeer::new(stream);
                peer.log_in().await;
                peer.send(frame::close(1000, "user exit")).await;
                assert_eq!(peer.close().await.0, 1000, "the reply to the Close frame");
            }
            Ok(Err(_)) | Err(_) => failed += 1,
        }
        times.push(connected.elapsed());
        sleep(THINK_TIME).await;
    }
    (times, failed)
}

/// Replays the message from all addresses until the task is dropped.
async fn replay(server: SocketAddr, hello: Vec<u8>, answered: Arc<AtomicU64>) -> Infallible {
    let hello: Arc<[u8]> = hello.into();
    for number in 0..ADDRESSES {
        for _ in 0..CONNECTIONS {
            let (hello, answered) = (Arc::clone(&hello), Arc::clone(&answered));
            spawn_local(async move {
                loop {
                    if replay_once(server, super::address(100 + number), &hello)
                        .await
                        .is_ok()
                    {
                        answered.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    }
    pending().await
}

/// Sends the message, and closes the connection when the answer begins.
async fn replay_once(server: SocketAddr, from: Ipv4Addr, hello: &[u8]) -> io::Result<()> {
    let mut stream = integration_tests::connect_from(from, server).await?;
    stream.write_all(hello).await?;
    stream.read_exact(&mut [0; 1]).await?;
    Ok(())
}
