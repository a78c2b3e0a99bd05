//! Attacking clients. Each kind has its own source address. All run on one low-priority thread, so
//! that the well-behaved client is not delayed by its own machine.

use std::{
    convert::Infallible,
    fmt, io,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures::future::pending;
use integration_tests::{BackgroundWork, connect_from};
use raw_peer::{CREDENTIALS, HANDSHAKE, frame};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::spawn_local,
    time::sleep,
};

/// The pause between two bytes of a slow client.
const BYTE_INTERVAL: Duration = Duration::from_millis(100);

/// The kinds of attacks: name, last byte of the source address, number of concurrent connections,
/// and behavior.
const KINDS: [(&str, u8, usize, AttackKind); 11] = [
    ("silent", 1, 60, AttackKind::Silent),
    ("slow request heads", 2, 60, AttackKind::SlowHead),
    ("no login", 3, 60, AttackKind::NoLogin),
    ("slow logins", 4, 60, AttackKind::SlowLogin),
    ("wrong logins", 5, 60, AttackKind::WrongLogins),
    (
        "false lengths before the login",
        6,
        60,
        AttackKind::FalseLength,
    ),
    ("dead peers", 7, 60, AttackKind::DeadPeer),
    ("clients that do not read", 8, 20, AttackKind::NoReading),
    ("endless fragments", 9, 8, AttackKind::Fragments),
    ("ping floods", 10, 8, AttackKind::Pings),
    ("connect and close", 11, 8, AttackKind::Churn),
];

#[derive(Debug, Clone, Copy)]
enum AttackKind {
    Silent,
    SlowHead,
    NoLogin,
    SlowLogin,
    WrongLogins,
    FalseLength,
    DeadPeer,
    NoReading,
    Fragments,
    Pings,
    Churn,
}

/// The running attacks.
#[derive(Debug)]
pub(crate) struct Attackers {
    stats: Vec<Arc<AttackStats>>,
    work: BackgroundWork<Infallible>,
}

/// The counters of one kind of attack.
#[derive(Debug)]
pub(crate) struct AttackStats {
    kind: &'static str,
    attackers: usize,
    connections: AtomicU64,
    bytes: AtomicU64,
}

impl Attackers {
    /// Starts all attacks.
    pub(crate) fn start(server: SocketAddr) -> Self {
        let stats: Vec<_> = KINDS
            .iter()
            .map(|&(kind, _, attackers, _)| {
                Arc::new(AttackStats {
                    kind,
                    attackers,
                    connections: AtomicU64::new(0),
                    bytes: AtomicU64::new(0),
                })
            })
            .collect();
        let shared = stats.clone();
        let work = BackgroundWork::start(move || run_attacks(server, shared));
        Self { stats, work }
    }

    /// Stops all attacks and returns their counters.
    pub(crate) fn stop(self) -> Vec<Arc<AttackStats>> {
        self.work.stop();
        self.stats
    }
}

impl fmt::Display for AttackStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let connections = self.connections.load(Ordering::Relaxed);
        let kib = self.bytes.load(Ordering::Relaxed) / 1024;
        write!(
            f,
            "{:35} {:3} concurrent, {connections:6} connections, {kib:8} KiB",
            self.kind, self.attackers
        )
    }
}

/// Runs all attacks until the task is dropped.
async fn run_attacks(server: SocketAddr, stats: Vec<Arc<AttackStats>>) -> Infallible {
    for ((_, number, attackers, attack), stats) in KINDS.into_iter().zip(&stats) {
        for _ in 0..attackers {
            let stats = Arc::clone(stats);
            spawn_local(async move {
                loop {
                    // An attack ends when the server closes the connection.
                    let _ = attack_once(server, super::address(number), attack, &stats).await;
                    stats.connections.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    }
    pending().await
}

/// Runs one attack until its connection ends.
async fn attack_once(
    server: SocketAddr,
    from: Ipv4Addr,
    attack: AttackKind,
    stats: &AttackStats,
) -> io::Result<()> {
    let mut stream = connect_from(from, server).await?;
    match attack {
        AttackKind::Silent => until_end(&mut stream).await,
        AttackKind::SlowHead => send_slowly(&mut stream, HANDSHAKE.as_bytes(), stats).await,
        AttackKind::NoLogin => {
            upgrade(&mut stream).await?;
            until_end(&mut stream).await
        }
        AttackKind::SlowLogin => {
            upgrade(&mut stream).await?;
            send_slowly(&mut stream, &frame::text(&"x".repeat(1000)), stats).await
        }
        AttackKind::WrongLogins => {
            upgrade(&mut stream).await?;
            send_endlessly(&mut stream, &frame::text("admin:guess"), stats).await
        }
        AttackKind::FalseLength => {
            upgrade(&mut stream).await?;
            stream.write_all(&frame::header(0x82, 1 << 30)).await?;
            until_end(&mut stream).await
        }
        AttackKind::DeadPeer => {
            log_in(&mut stream).await?;
            pending().await
        }
        AttackKind::NoReading => {
            log_in(&mut stream).await?;
            let message = frame::binary(&vec![0; 1 << 20]);
            loop {
                send(&mut stream, &message, stats).await?;
            }
        }
        AttackKind::Fragments => {
            log_in(&mut stream).await?;
            stream.write_all(&frame::masked(0x01, b"")).await?;
            send_endlessly(&mut stream, &frame::masked(0x00, b""), stats).await
        }
        AttackKind::Pings => {
            log_in(&mut stream).await?;
            send_endlessly(&mut stream, &frame::ping(b"flood"), stats).await
        }
        AttackKind::Churn => Ok(()),
    }
}

async fn upgrade(stream: &mut TcpStream) -> io::Result<()> {
    stream.write_all(HANDSHAKE.as_bytes()).await?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut head).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(())
}

async fn log_in(stream: &mut TcpStream) -> io::Result<()> {
    upgrade(stream).await?;
    stream.write_all(&frame::text(CREDENTIALS)).await?;
    let mut welcome = [0; 1024];
    match stream.read(&mut welcome).await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}

/// Sends one byte at a time until the server closes the connection.
async fn send_slowly(stream: &mut TcpStream, bytes: &[u8], stats: &AttackStats) -> io::Result<()> {
    for byte in bytes {
        send(stream, &[*byte], stats).await?;
        sleep(BYTE_INTERVAL).await;
    }
    until_end(stream).await
}

/// Sends the same bytes in large batches without reading.
async fn send_endlessly(
    stream: &mut TcpStream,
    once: &[u8],
    stats: &AttackStats,
) -> io::Result<()> {
    let many = once.repeat(1 + 64 * 1024 / once.len());
    loop {
        send(stream, &many, stats).await?;
    }
}

async fn send(stream: &mut TcpStream, bytes: &[u8], stats: &AttackStats) -> io::Result<()> {
    stream.write_all(bytes).await?;
    stats.bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
    Ok(())
}

async fn until_end(stream: &mut TcpStream) -> io::Result<()> {
    let mut ignored = [0; 1024];
    while stream.read(&mut ignored).await? > 0 {}
    Ok(())
}
