//! Rooms with several workers and real sockets: bursts, steady readers and hostile members.
#![expect(
    clippy::disallowed_methods,
    reason = "no drain waits for the tasks of a test"
)]

use std::{num::NonZeroUsize, sync::Arc};

use raw_peer::{RawPeer, frame};
use tokio::{
    io::{
        AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, ReadHalf, WriteHalf, duplex, sink,
        split,
    },
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::{Duration, Instant, interval, sleep, timeout},
};

use super::{
    Room,
    tests::{PATH, joined, registered, room, session_on, text},
};
use crate::{
    registry::ConnectionRegistry,
    service::{Hub, Unrestricted},
    session::{DropCounts, Ended, OverflowPolicy},
};

/// Joins a room over a pipe that holds this many bytes. Returns the peer's end of the pipe, and the
/// task that runs the session.
fn join(room: &Room, hub: &Arc<Hub>, pipe_bytes: usize) -> (DuplexStream, JoinHandle<Ended>) {
    let (ours, theirs) = duplex(pipe_bytes);
    let (room, hub) = (room.clone(), Arc::clone(hub));
    let mut session = session_on(theirs);
    let run = async move { room.run(&mut session, &hub).await.unwrap_err() };
    (ours, tokio::spawn(run))
}

/// Lets two of twenty members send bursts at the same time, while all of them read. No member may be
/// evicted, and each must get all texts in the same order.
async fn assert_burst_arrives(room: Room, texts: usize, text_bytes: usize) {
    let hub = Arc::new(Hub::default());
    let members: Vec<_> = (0..20).map(|_| join(&room, &hub, 4096)).collect();
    joined(&hub, members.len()).await;
    let mut readers = Vec::new();
    for (index, (io, session)) in members.into_iter().enumerate() {
        let (reader, mut writer) = split(io);
        let sent = if index < 2 { texts } else { 0 };
        let writing = tokio::spawn(async move {
            for number in 0..sent {
                let text = format!("{index} {number} {}", "x".repeat(text_bytes));
                writer.write_all(&frame::text(&text)).await.unwrap();
            }
            writer
        });
        let reading = async move {
            let mut peer = RawPeer::new(tokio::io::join(reader, sink()));
            let mut received = Vec::new();
            for _ in 0..2 * texts {
                let text = peer.text().await;
                received.push(text[..30].to_owned());
            }
            (received, writing.await.unwrap(), session)
        };
        readers.push(tokio::spawn(reading));
    }
    let mut expected = None;
    for reader in readers {
        let (received, _writer, session) = reader.await.unwrap();
        assert!(!session.is_finished());
        assert_eq!(expected.get_or_insert_with(|| received.clone()), &received);
    }
    assert_eq!(hub.stats().drops, DropCounts::default());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bursts_arrive_in_one_order_with_two_workers() {
    assert_burst_arrives(room(), 2000, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn bursts_arrive_in_one_order_with_four_workers() {
    assert_burst_arrives(room(), 2000, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn long_texts_arrive_in_one_order() {
    assert_burst_arrives(room(), 20, 100_000).await;
}

/// Lets a member on a real socket read this much in each tenth of a second. It must not be evicted.
async fn assert_steady_reader_stays(bytes_per_tick: usize, seconds: u64) {
    let mut room = room();
    room.max_queued = NonZeroUsize::new(256).unwrap();
    room.max_queued_bytes = NonZeroUsize::new(1 << 20).unwrap();
    let hub = Arc::new(Hub::default());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let connecting = TcpStream::connect(listener.local_addr().unwrap());
    let (peer, accepted) = tokio::join!(connecting, listener.accept());
    let (mut peer, (accepted, _)) = (peer.unwrap(), accepted.unwrap());
    // As the listener sets them.
    accepted.set_nodelay(true).unwrap();
    #[cfg(target_os = "linux")]
    socket2::SockRef::from(&accepted)
        .set_tcp_notsent_lowat(256 * 1024)
        .unwrap();
    let session = {
        let (room, hub) = (room.clone(), Arc::clone(&hub));
        let mut session = session_on(accepted);
        tokio::spawn(async move { room.run(&mut session, &hub).await.unwrap_err() })
    };
    joined(&hub, 1).await;
    let reading = tokio::spawn(async move {
        let mut ticks = interval(Duration::from_millis(100));
        let mut buffer = vec![0; bytes_per_tick];
        let mut total = 0;
        loop {
            ticks.tick().await;
            match peer.read(&mut buffer).await {
                Ok(0) | Err(_) => return total,
                Ok(read) => total += read,
            }
        }
    });
    let path = PATH.into();
    let long = text(&"x".repeat(10_000));
    let start = Instant::now();
    let time = Duration::from_secs(seconds);
    let mut published = 0;
    while start.elapsed() < time && hub.stats().drops.evicted == 0 {
        let publish = hub.publish(&path, "jane", &long, room.history(), Unrestricted);
        if timeout(time, publish).await.is_ok() {
            published += 1;
        }
    }
    let (evicted, after) = (hub.stats().drops.evicted, start.elapsed());
    session.abort();
    let _ = session.await;
    let read = reading.await.unwrap();
    assert_eq!(
        evicted, 0,
        "evicted after {after:?} and {published} texts; {read} bytes read"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reader_of_100_kilobytes_a_second_stays() {
    assert_steady_reader_stays(10_000, 12).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reader_of_a_megabyte_a_second_stays() {
    assert_steady_reader_stays(100_000, 8).await;
}

/// A room under attack.
#[derive(Debug, Clone)]
struct Attack {
    room: Room,
    hub: Arc<Hub>,
    connections: Arc<ConnectionRegistry>,
    deadline: Instant,
}

/// The kinds of members: their index decides the behaviour.
#[derive(Debug, Clone, Copy)]
struct Attacker(u64);

impl Attacker {
    fn is_stalled(self) -> bool {
        (8..10).contains(&self.0)
    }

    fn is_slow(self) -> bool {
        self.0 == 7
    }

    fn floods(self) -> bool {
        self.0 < 4 || self.0.is_multiple_of(3)
    }

    fn closes(self) -> bool {
        !self.0.is_multiple_of(2)
    }

    fn life(self, round: u64) -> Duration {
        Duration::from_millis(match self.0 {
            0..5 => 8000,
            5..8 => 3000,
            8..10 => 1500,
            index => 7 * index + round % 13,
        })
    }

    async fn write(
        self,
        mut writer: WriteHalf<DuplexStream>,
        end: Instant,
    ) -> WriteHalf<DuplexStream> {
        let second = Duration::from_secs(1);
        let long = "x".repeat(700);
        let mut number = 0;
        while Instant::now() < end {
            number += 1;
            if !self.floods() {
                sleep(Duration::from_millis(50)).await;
            }
            let bytes = if self.closes() {
                frame::text(&number.to_string())
            } else {
                frame::text(&long)
            };
            if !matches!(timeout(second, writer.write_all(&bytes)).await, Ok(Ok(()))) {
                break;
            }
        }
        if self.closes() {
            let _ = timeout(second, writer.write_all(&frame::close(1000, ""))).await;
        }
        writer
    }

    async fn read(self, reader: &mut ReadHalf<DuplexStream>, end: Instant) {
        let mut buffer = vec![0; if self.is_slow() { 512 } else { 8192 }];
        while Instant::now() < end {
            if self.is_stalled() {
                sleep(Duration::from_millis(100)).await;
                continue;
            }
            let read = timeout(Duration::from_millis(50), reader.read(&mut buffer));
            if let Ok(Ok(0) | Err(_)) = read.await {
                return;
            }
            if self.is_slow() {
                sleep(Duration::from_millis(2)).await;
            }
        }
    }

    /// Joins and leaves until the deadline.
    async fn attack(self, attack: Attack) {
        let mut round = 0;
        while Instant::now() < attack.deadline {
            round += 1;
            let (io, theirs) = duplex(4096);
            let mut session = registered(theirs, &attack.connections);
            let (room, hub) = (attack.room.clone(), Arc::clone(&attack.hub));
            let run = tokio::spawn(async move {
                let ended = room.run(&mut session, &hub).await.unwrap_err();
                session.close(&ended, std::future::ready(())).await;
            });
            let (mut reader, writer) = split(io);
            let end = attack.deadline.min(Instant::now() + self.life(round));
            let writing = tokio::spawn(self.write(writer, end));
            self.read(&mut reader, end).await;
            writing.abort();
            drop((reader, writing.await));
            if round.is_multiple_of(5) {
                run.abort();
            }
            let ended = timeout(Duration::from_secs(20), run).await;
            let _ = ended.expect("the session ends");
        }
    }
}

/// Lets members flood, read slowly, stall, leave and join again. They must not block the room for
/// longer than a stalled member does.
async fn assert_room_survives(when_full: OverflowPolicy) {
    let mut room = room();
    room.presence = true;
    room.when_full = when_full;
    let attack = Attack {
        room,
        hub: Arc::default(),
        connections: Arc::default(),
        deadline: Instant::now() + Duration::from_secs(3),
    };
    let attackers: Vec<_> = (0..14)
        .map(|index| tokio::spawn(Attacker(index).attack(attack.clone())))
        .collect();
    let (path, message) = (PATH.into(), text("post"));
    let mut longest = Duration::ZERO;
    while Instant::now() < attack.deadline {
        let start = Instant::now();
        let history = attack.room.history();
        let publish = attack
            .hub
            .publish(&path, "jane", &message, history, Unrestricted);
        let published = timeout(Duration::from_secs(20), publish).await;
        published.expect("the text is published");
        longest = longest.max(start.elapsed());
    }
    for attacker in attackers {
        attacker.await.unwrap();
    }
    assert!(
        longest < Duration::from_secs(5),
        "{when_full:?}: {longest:?}"
    );
    assert_eq!(attack.hub.stats().subscriptions, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn room_survives_attack_with_two_workers() {
    assert_room_survives(OverflowPolicy::Evict).await;
    assert_room_survives(OverflowPolicy::DropOldest).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn room_survives_attack_with_four_workers() {
    assert_room_survives(OverflowPolicy::Evict).await;
    assert_room_survives(OverflowPolicy::DropOldest).await;
}
