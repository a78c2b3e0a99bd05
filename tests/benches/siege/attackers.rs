//! Those who besiege a server, each kind from an address of its own, all on one thread that gives
//! way to the honest client.

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

/// How long a dripping client waits between two bytes.
const DRIP: Duration = Duration::from_millis(100);

/// What kinds there are, how many of each attack, and what each of them does, over and over.
const KINDS: [(&str, u8, usize, Attack); 11] = [
    ("silent", 1, 60, Attack::Silence),
    ("heads dripped", 2, 60, Attack::DrippedHead),
    ("logins never sent", 3, 60, Attack::NoLogin),
    ("logins dripped", 4, 60, Attack::DrippedLogin),
    ("wrong logins", 5, 60, Attack::WrongLogins),
    ("lengths that lie, before the login", 6, 60, Attack::Lie),
    ("dead peers", 7, 60, Attack::Death),
    ("readers that do not read", 8, 20, Attack::SlowReading),
    ("endless fragments", 9, 8, Attack::Fragments),
    ("floods of pings", 10, 8, Attack::Pings),
    ("comers and goers", 11, 8, Attack::Coming),
];

#[derive(Debug, Clone, Copy)]
enum Attack {
    Silence,
    DrippedHead,
    NoLogin,
    DrippedLogin,
    WrongLogins,
    Lie,
    Death,
    SlowReading,
    Fragments,
    Pings,
    Coming,
}

/// All who attack, until they are told to end.
#[derive(Debug)]
pub(crate) struct Attackers {
    deeds: Vec<Arc<Deeds>>,
    siege: BackgroundWork<Infallible>,
}

/// What one kind of attackers has done.
#[derive(Debug)]
pub(crate) struct Deeds {
    kind: &'static str,
    attackers: usize,
    connections: AtomicU64,
    bytes: AtomicU64,
}

impl Attackers {
    /// Begins the siege.
    pub(crate) fn begin(server: SocketAddr) -> Self {
        let deeds: Vec<_> = KINDS
            .iter()
            .map(|&(kind, _, attackers, _)| {
                Arc::new(Deeds {
                    kind,
                    attackers,
                    connections: AtomicU64::new(0),
                    bytes: AtomicU64::new(0),
                })
            })
            .collect();
        let shared = deeds.clone();
        let siege = BackgroundWork::start(move || besiege(server, shared));
        Self { deeds, siege }
    }

    /// Ends the siege, and tells who did what.
    pub(crate) fn end(self) -> Vec<Arc<Deeds>> {
        self.siege.stop();
        self.deeds
    }
}

impl fmt::Display for Deeds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let connections = self.connections.load(Ordering::Relaxed);
        let kib = self.bytes.load(Ordering::Relaxed) / 1024;
        write!(
            f,
            "{:35} {:3} at a time, {connections:6} connections, {kib:8} KiB",
            self.kind, self.attackers
        )
    }
}

/// All attackers at once, who do not end by themselves.
async fn besiege(server: SocketAddr, deeds: Vec<Arc<Deeds>>) -> Infallible {
    for ((_, number, attackers, attack), deeds) in KINDS.into_iter().zip(&deeds) {
        for _ in 0..attackers {
            let deeds = Arc::clone(deeds);
            spawn_local(async move {
                loop {
                    // The end of a connection is what an attack comes to.
                    let _ = attack_once(server, super::address(number), attack, &deeds).await;
                    deeds.connections.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    }
    pending().await
}

/// One attack, up to the end of its connection.
async fn attack_once(
    server: SocketAddr,
    from: Ipv4Addr,
    attack: Attack,
    deeds: &Deeds,
) -> io::Result<()> {
    let mut stream = connect_from(from, server).await?;
    match attack {
        Attack::Silence => until_end(&mut stream).await,
        Attack::DrippedHead => drip(&mut stream, HANDSHAKE.as_bytes(), deeds).await,
        Attack::NoLogin => {
            upgrade(&mut stream).await?;
            until_end(&mut stream).await
        }
        Attack::DrippedLogin => {
            upgrade(&mut stream).await?;
            drip(&mut stream, &frame::text(&"x".repeat(1000)), deeds).await
        }
        Attack::WrongLogins => {
            upgrade(&mut stream).await?;
            flood(&mut stream, &frame::text("admin:guess"), deeds).await
        }
        Attack::Lie => {
            upgrade(&mut stream).await?;
            stream.write_all(&frame::header(0x82, 1 << 30)).await?;
            until_end(&mut stream).await
        }
        Attack::Death => {
            log_in(&mut stream).await?;
            pending().await
        }
        Attack::SlowReading => {
            log_in(&mut stream).await?;
            let message = frame::binary(&vec![0; 1 << 20]);
            loop {
                send(&mut stream, &message, deeds).await?;
            }
        }
        Attack::Fragments => {
            log_in(&mut stream).await?;
            stream.write_all(&frame::masked(0x01, b"")).await?;
            flood(&mut stream, &frame::masked(0x00, b""), deeds).await
        }
        Attack::Pings => {
            log_in(&mut stream).await?;
            flood(&mut stream, &frame::ping(b"flood"), deeds).await
        }
        Attack::Coming => Ok(()),
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

/// Sends a byte now and then, for as long as the server bears it.
async fn drip(stream: &mut TcpStream, bytes: &[u8], deeds: &Deeds) -> io::Result<()> {
    for byte in bytes {
        send(stream, &[*byte], deeds).await?;
        sleep(DRIP).await;
    }
    until_end(stream).await
}

/// Sends the same again and again, many at once, and reads as little as it can.
async fn flood(stream: &mut TcpStream, once: &[u8], deeds: &Deeds) -> io::Result<()> {
    let many = once.repeat(1 + 64 * 1024 / once.len());
    loop {
        send(stream, &many, deeds).await?;
    }
}

async fn send(stream: &mut TcpStream, bytes: &[u8], deeds: &Deeds) -> io::Result<()> {
    stream.write_all(bytes).await?;
    deeds.bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
    Ok(())
}

async fn until_end(stream: &mut TcpStream) -> io::Result<()> {
    let mut ignored = [0; 1024];
    while stream.read(&mut ignored).await? > 0 {}
    Ok(())
}
