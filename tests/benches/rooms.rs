//! A room with a thousand members. Measures the delivery latency with and without a member that
//! does not read, and the CPU time per delivery. Compares the latter with tokio's broadcast
//! channel, and with Bun's `publish` if `bun` is installed.
//!
//! Bursts to members that read must not evict any of them, and must arrive in one order.

#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]

use std::{
    cell::{Cell, RefCell},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    process::ExitCode,
    rc::Rc,
    time::{Duration, Instant},
};

use integration_tests::{
    ADMIN, BenchReport, BenchServer, CpuPinning, ServerFiles, ServerProcess, TEST_TIMEOUT,
    is_selected, mebibytes, median, metric_over_socket, percentile,
};
use raw_peer::{RawPeer, frame};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, join as join_io, sink},
    net::{TcpSocket, TcpStream},
    sync::Notify,
    task::{JoinHandle, LocalSet, spawn_local, yield_now},
    time::timeout,
};

const MEMBERS: usize = 1000;

const ROOM: &str = "[[route]]\npath = \"/\"\nservice = \"room\"\nhistory = \"off\"\n";

/// The messages of each round.
const MESSAGES: usize = 1000;

/// The message length where one member does not read. All messages together exceed the socket
/// buffers and the queue.
const LONG_BYTES: usize = 4096;

/// The message length where the CPU time is measured.
const SHORT_BYTES: usize = 64;

/// The deliveries of a round.
const DELIVERIES: f64 = 1e6;

/// The rounds with and without a stalled member, alternating.
const ROUNDS: usize = 3;

/// The greatest ratio of the latency with a stalled member to that without.
const LIMIT: f64 = 1.5;

/// The memory limit in MiB: the queue of the stalled member, and buffers.
const MEMORY_LIMIT: f64 = 16.0;

/// The greatest ratio to the cost of the ordinary room.
const COST_LIMIT: f64 = 1.0;

/// The publishers of a burst, which send at the same time.
const PUBLISHERS: usize = 2;

/// The length of the part of a message that names the publisher and the number: the start of the
/// JSON object, and 9 bytes.
const PREFIX_BYTES: usize = 33;

/// The time that one stalled member may cost a burst: the window in which it must make progress is
/// 6 s.
const STALL_LIMIT: f64 = 7.0;

/// A burst to a room whose members all read.
#[derive(Debug, Clone, Copy)]
struct Burst {
    messages: usize,
    bytes: usize,
    members: usize,
}

const BURSTS: [Burst; 3] = [
    Burst {
        messages: 5_000,
        bytes: 10,
        members: 1_000,
    },
    Burst {
        messages: 50_000,
        bytes: 10,
        members: 20,
    },
    Burst {
        messages: 100,
        bytes: 1 << 20,
        members: 50,
    },
];

/// The messages that a member received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct ReceivedBurst {
    messages: usize,
    /// The hash of their order.
    order: u64,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let pinning = CpuPinning::first_two_cpus();
    let mut report = BenchReport::default();
    LocalSet::new()
        .run_until(async {
            // First, because the servers of bursts use all CPUs.
            if is_selected("bursts") {
                bursts(&mut report).await;
            }
            if is_selected("stalled") {
                stalled(pinning, &mut report).await;
            }
            if is_selected("cost") {
                cost(pinning, &mut report).await;
            }
        })
        .await;
    report.exit_code()
}

/// Sends bursts to members that read, with several numbers of workers. Then measures the delay by a
/// stalled member.
async fn bursts(report: &mut BenchReport) {
    for workers in [1, 2, 4] {
        for burst in BURSTS {
            let files = room_files(&format!("worker_threads = {workers}\n"));
            let server = ServerProcess::spawn_with_log(files.command(), "error").await;
            let (elapsed, incomplete) = burst.run(&server, &files, 0).await;
            println!("{workers} workers, {burst:?}: {elapsed:.2?}");
            report.at_most("members evicted or out of order", incomplete, 0.0);
        }
    }
    let burst = BURSTS[1];
    let files = room_files("worker_threads = 2\n");
    let server = ServerProcess::spawn_with_log(files.command(), "error").await;
    let (without, _) = burst.run(&server, &files, 0).await;
    let files = room_files("worker_threads = 2\n");
    let server = ServerProcess::spawn_with_log(files.command(), "error").await;
    let stalled = join_at(&server, Some(4096)).await;
    let before = server.resident_bytes();
    let (with, incomplete) = burst.run(&server, &files, 1).await;
    let growth = mebibytes(server.peak_resident_bytes().saturating_sub(before));
    println!("a burst without a stalled member: {without:.2?}, with one: {with:.2?}");
    report.at_most("members evicted or out of order", incomplete, 0.0);
    let delay = with.saturating_sub(without).as_secs_f64();
    report.at_most("s of delay by a stalled member", delay, STALL_LIMIT);
    report.at_most("additional MiB", growth, MEMORY_LIMIT);
    assert_eq!(close_code(stalled).await, 1013, "the stalled member");
}

impl Burst {
    /// Sends the burst to a room with `others` members beside. Returns the time until all have received
    /// it, and the number of members that did not, or that received another order than the first.
    async fn run(
        self,
        server: &ServerProcess,
        files: &ServerFiles,
        others: usize,
    ) -> (Duration, f64) {
        let mut members = Vec::new();
        for _ in 0..self.members {
            members.push(join_at(server, None).await);
        }
        until_joined(files, self.members + others).await;
        let start = Instant::now();
        let (mut readers, mut writers) = (Vec::new(), Vec::new());
        for (index, member) in members.into_iter().enumerate() {
            let (reader, mut writer) = member.into_inner().into_split();
            readers.push(self.read(RawPeer::new(join_io(reader, sink()))));
            writers.push(spawn_local(async move {
                if index < PUBLISHERS {
                    for number in 0..self.messages / PUBLISHERS {
                        let mut text = format!("{index} {number:07} ");
                        text.push_str(&"x".repeat(self.bytes - text.len()));
                        let text = frame::text(&text);
                        if writer.write_all(&text).await.is_err() {
                            break;
                        }
                    }
                }
                writer
            }));
        }
        let mut received = Vec::new();
        for reader in readers {
            received.push(reader.await.expect("the member reads"));
        }
        let elapsed = start.elapsed();
        let first = received[0];
        let is_complete =
            |member: &&ReceivedBurst| **member == first && member.messages == self.messages;
        let complete = received.iter().filter(is_complete).count();
        let incomplete = u32::try_from(received.len() - complete).expect("members are few");
        (elapsed, f64::from(incomplete))
    }

    fn read<S>(self, mut peer: RawPeer<S>) -> JoinHandle<ReceivedBurst>
    where
        S: AsyncRead + AsyncWrite + Unpin + 'static,
    {
        spawn_local(async move {
            let (mut messages, mut order) = (0, DefaultHasher::new());
            while messages < self.messages
                && let Some(received) = peer.next().await
                && received.first != 0x88
            {
                if received.first == 0x81 {
                    messages += 1;
                    received.payload[..PREFIX_BYTES].hash(&mut order);
                }
            }
            ReceivedBurst {
                messages,
                order: order.finish(),
            }
        })
    }
}

/// Measures whether a member that does not read delays the others.
async fn stalled(pinning: CpuPinning, report: &mut BenchReport) {
    // The stalled member reads its Close frame only after the last message.
    let configuration = "[limits]\nclose_deadline = \"1m\"\n";
    let (mut without, mut with, mut growth) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let files = room_files(configuration);
        let bench_server = BenchServer::configured(&files, pinning).await;
        let mut room = Room::join(&bench_server, MEMBERS).await;
        until_joined(&files, MEMBERS).await;
        without.push(percentile(&room.publish(MESSAGES, LONG_BYTES).await, 99));
        drop(room);

        let files = room_files(configuration);
        let bench_server = BenchServer::configured(&files, pinning).await;
        let mut room = Room::join(&bench_server, MEMBERS - 1).await;
        let stalled = join(&bench_server, Some(4096)).await;
        until_joined(&files, MEMBERS).await;
        let before = bench_server.process.resident_bytes();
        with.push(percentile(&room.publish(MESSAGES, LONG_BYTES).await, 99));
        let after = bench_server.process.peak_resident_bytes();
        growth.push(mebibytes(after.saturating_sub(before)));
        assert_eq!(close_code(stalled).await, 1013, "the stalled member");
    }
    println!("ms until 99 % of {MEMBERS} received, none stalled: {without:.2?}");
    println!("ms until 99 % of {MEMBERS} received, one stalled: {with:.2?}");
    // The least disturbed rounds: a member that delays the others does so in each round.
    let ratio = least(&with) / least(&without);
    report.at_most("latency, ratio of one stalled to none", ratio, LIMIT);
    report.at_most("additional MiB", median(&growth), MEMORY_LIMIT);
}

/// Measures the CPU time of a delivery.
async fn cost(pinning: CpuPinning, report: &mut BenchReport) {
    let mut costs: [Vec<f64>; 3] = Default::default();
    for _ in 0..ROUNDS {
        let files = room_files("");
        let bench_servers = [
            Some(BenchServer::configured(&files, pinning).await),
            Some(BenchServer::plain_room(pinning).await),
            BenchServer::bun_room(pinning).await,
        ];
        for (bench_server, costs) in bench_servers.iter().zip(&mut costs) {
            let Some(bench_server) = bench_server else {
                continue;
            };
            let mut room = Room::join(bench_server, MEMBERS).await;
            if bench_server.name == "ws-server" {
                until_joined(&files, MEMBERS).await;
            }
            room.publish(MESSAGES / 10, SHORT_BYTES).await;
            let before = bench_server.process.processor_time();
            room.publish(MESSAGES, SHORT_BYTES).await;
            let spent = bench_server.process.processor_time().saturating_sub(before);
            costs.push(spent.as_secs_f64() * 1e6 / DELIVERIES);
        }
    }
    let [ours, plain, bun] = costs;
    println!("us of CPU time per delivery: ws-server {ours:.2?}, plain {plain:.2?}, Bun {bun:.2?}");
    let share = median(&ours) / median(&plain);
    report.at_most(
        "CPU time per delivery, ratio to the plain room",
        share,
        COST_LIMIT,
    );
    if bun.is_empty() {
        println!("bun not found: run `npm install bun` and add it to PATH");
    } else {
        println!(
            "CPU time per delivery, ratio to Bun: {:.3}",
            median(&ours) / median(&bun)
        );
    }
}

/// A room in which all members read and one publishes.
struct Room {
    publisher: RawPeer<TcpStream>,
    round: Rc<DeliveryRound>,
}

/// The state that the members of a room share.
struct DeliveryRound {
    members: usize,
    sent_at: Cell<Instant>,
    latencies: RefCell<Vec<Duration>>,
    all_received: Notify,
}

impl DeliveryRound {
    fn record(&self) {
        let mut latencies = self.latencies.borrow_mut();
        latencies.push(self.sent_at.get().elapsed());
        if latencies.len().is_multiple_of(self.members) {
            self.all_received.notify_one();
        }
    }
}

impl Room {
    async fn join(bench_server: &BenchServer, members: usize) -> Self {
        let round = Rc::new(DeliveryRound {
            members,
            sent_at: Cell::new(Instant::now()),
            latencies: RefCell::default(),
            all_received: Notify::new(),
        });
        for _ in 1..members {
            let mut member = join(bench_server, None).await;
            let round = Rc::clone(&round);
            spawn_local(async move {
                while let Some(received) = member.next().await {
                    if received.first == 0x81 {
                        round.record();
                    }
                }
            });
        }
        Self {
            publisher: join(bench_server, None).await,
            round,
        }
    }

    /// Publishes messages of this length, each after the last one has reached all members. Returns
    /// the latency of each delivery.
    async fn publish(&mut self, times: usize, bytes: usize) -> Vec<Duration> {
        let text = frame::text(&"x".repeat(bytes));
        for _ in 0..times {
            self.round.sent_at.set(Instant::now());
            self.publisher.send(&text).await;
            self.publisher.text().await;
            self.round.record();
            timeout(TEST_TIMEOUT, self.round.all_received.notified())
                .await
                .expect("all members receive the message");
        }
        self.round.latencies.take()
    }
}

/// Writes the files of a server with a room and an admin socket.
fn room_files(configuration: &str) -> ServerFiles {
    ServerFiles::with_admin(&format!("{configuration}{ROOM}{ADMIN}"))
}

/// Waits until the room has this many members. A session joins after its login was confirmed, and would
/// not receive what is published in between.
async fn until_joined(files: &ServerFiles, members: usize) {
    let members = u64::try_from(members).expect("members are few");
    let joined = async {
        while metric_over_socket(files, "ws_server_room_members").await != members {
            yield_now().await;
        }
    };
    timeout(TEST_TIMEOUT, joined)
        .await
        .expect("all members join the room");
}

/// Joins the room, with this receive buffer.
async fn join(bench_server: &BenchServer, receive_buffer: Option<u32>) -> RawPeer<TcpStream> {
    join_at(&bench_server.process, receive_buffer).await
}

/// Joins the room, with this receive buffer.
async fn join_at(server: &ServerProcess, receive_buffer: Option<u32>) -> RawPeer<TcpStream> {
    let socket = TcpSocket::new_v4().expect("a socket can be made");
    if let Some(bytes) = receive_buffer {
        socket
            .set_recv_buffer_size(bytes)
            .expect("the buffer size can be set");
    }
    let stream = socket.connect(server.address).await;
    let mut peer = RawPeer::new(stream.expect("the server accepts"));
    peer.log_in().await;
    peer
}

/// Returns the code of the Close frame, after the frames before it.
async fn close_code(mut peer: RawPeer<TcpStream>) -> u16 {
    loop {
        let frame = peer.frame().await;
        if frame.first == 0x88 {
            return frame.close().0;
        }
    }
}

fn least(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::INFINITY, f64::min)
}
