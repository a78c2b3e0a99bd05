//! A server with little memory, and peers that have it hold as much as they can.

use std::{sync::Arc, time::Duration};

use integration_tests::{
    ADMIN, AdminClient, CONFIGURATION, ServerFiles, ServerProcess, authorization, loopback_address,
    send_request,
};
use raw_peer::{HANDSHAKE, RawPeer, frame};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpSocket, TcpStream},
    task::JoinSet,
    time::{Instant, sleep},
};

const MIB: usize = 1 << 20;

/// The number of peers that send and do not read.
const FLOODERS: usize = 1000;

/// The longest that a test may take.
const TIMEOUT: Duration = Duration::from_mins(2);

const EVICTIONS: [&str; 3] = ["stalled", "slow", "closing"];

/// Starts a server with this many threads that may use 512 MiB of memory (the private writable memory
/// of the process), of which peers may have 192 MiB.
async fn limited_server(worker_threads: usize) -> (ServerProcess, AdminClient, ServerFiles) {
    let files = ServerFiles::with_admin(&format!(
        "worker_threads = {worker_threads}\n{ADMIN}\
         [limits]\nmax_buffered_bytes = \"192MiB\"\nmax_unauthenticated_per_address = \"off\"\n\
         handshake_deadline = \"2m\"\n\
         [[route]]\npath = \"/\"\nservice = \"echo\"\n\
         [[route]]\npath = \"/room/*\"\nservice = \"room\"\n\
         [[route]]\npath = \"/public\"\nservice = \"room\"\npublic = true\n"
    ));
    let command = ServerProcess::limited_command("-d 524288", &files.path(CONFIGURATION));
    let mut server = ServerProcess::spawn(command).await;
    let admin = AdminClient::for_server(&mut server).await;
    (server, admin, files)
}

/// Raises the descriptor limit of this process for as many connections.
fn allow_descriptors() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: maximum,
        maximum,
    };
    setrlimit(Resource::Nofile, raised).expect("the soft limit may be raised to the hard one");
}

/// Connects to a path as the development account, through small buffers.
async fn connect(server: &ServerProcess, number: usize, path: &str) -> RawPeer<TcpStream> {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(16 * 1024).unwrap();
    socket.set_send_buffer_size(64 * 1024).unwrap();
    socket
        .bind((loopback_address(number % 4), 0).into())
        .unwrap();
    let mut peer = RawPeer::new(socket.connect(server.address).await.unwrap());
    let authorization = authorization("admin:123456");
    let request = HANDSHAKE
        .replace("GET / ", &format!("GET {path} "))
        .replace("\r\n\r\n", &format!("\r\n{authorization}\r\n\r\n"));
    peer.send(request).await;
    let head = peer.head().await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    peer
}

/// Sends a message over and over, and reads nothing, until the connection ends.
async fn flood(peer: RawPeer<TcpStream>, message: Arc<[u8]>) {
    let mut stream = peer.into_inner();
    while stream.write_all(&message).await.is_ok() {}
}

async fn evictions(admin: AdminClient) -> u64 {
    let mut sum = 0;
    for cause in EVICTIONS {
        let series = format!("ws_server_buffer_evictions_total{{cause=\"{cause}\"}}");
        sum += admin.metric(&series).await;
    }
    sum
}

/// An honest user, who echoes small and long messages, and reads the answers.
async fn assert_served(user: &mut RawPeer<TcpStream>) {
    user.send(frame::text("hello")).await;
    assert!(user.text().await.ends_with("hello"));
}

async fn assert_flood_survived(worker_threads: usize, path: &str) {
    allow_descriptors();
    let (server, admin, _files) = limited_server(worker_threads).await;
    let mut user = connect(&server, 0, "/").await;
    let mut peers = Vec::new();
    for number in 0..FLOODERS {
        peers.push(connect(&server, number, path).await);
    }
    let message: Arc<[u8]> = frame::text(&"x".repeat(MIB)).into();
    let mut flooders = JoinSet::new();
    for peer in peers {
        flooders.spawn(flood(peer, Arc::clone(&message)));
    }
    let start = Instant::now();
    let mut rounds = 0;
    // Served all the time, at least until connections had to give way.
    while rounds < 50 || (path == "/" && evictions(admin).await == 0) {
        assert!(start.elapsed() < TIMEOUT, "no connection was evicted");
        assert_served(&mut user).await;
        rounds += 1;
        sleep(Duration::from_millis(10)).await;
    }
    let held = admin.metric("ws_server_buffered_bytes").await;
    assert!(held <= 240 << 20, "{held} bytes are held");
    drop(flooders);
    // All bytes of ended connections are given back.
    while admin.metric("ws_server_buffered_bytes").await > 0 {
        assert!(start.elapsed() < TIMEOUT, "bytes still count");
        assert_served(&mut user).await;
    }
}

#[tokio::test]
async fn server_survives_flood_without_reading() {
    for worker_threads in [2, 4] {
        assert_flood_survived(worker_threads, "/").await;
    }
}

#[tokio::test]
async fn room_survives_flood_without_reading() {
    for worker_threads in [2, 4] {
        assert_flood_survived(worker_threads, "/room/flood").await;
    }
}

/// Former fault: 240 guests with one message of U+0001 each ended a server that had 1 GiB.
#[tokio::test]
async fn server_survives_guests_with_control_characters() {
    allow_descriptors();
    let (server, _admin, _files) = limited_server(2).await;
    let mut user = connect(&server, 0, "/").await;
    let message: Arc<[u8]> = frame::text(&"\u{1}".repeat(MIB)).into();
    let mut flooders = JoinSet::new();
    for number in 0..480 {
        // Guests, and users of a room whose messages may be as long.
        let path = ["/public", "/room/flood"][number % 2];
        let peer = connect(&server, number, path).await;
        flooders.spawn(flood(peer, Arc::clone(&message)));
        assert_served(&mut user).await;
    }
    // Each connection is closed with 1009.
    while flooders.join_next().await.is_some() {
        assert_served(&mut user).await;
    }
}

/// Former fault: a body in chunks of one byte took 22 times its length.
#[tokio::test]
async fn post_in_small_chunks_takes_little_memory() {
    let (server, _admin, _files) = limited_server(2).await;
    let mut user = connect(&server, 0, "/").await;
    assert_served(&mut user).await;
    let before = server.peak_resident_bytes();
    let head = format!(
        "POST /room/lobby HTTP/1.1\r\nHost: localhost\r\n{}\r\nTransfer-Encoding: chunked\r\n\r\n",
        authorization("admin:123456")
    );
    let request = head + &"1\r\nx\r\n".repeat(500_000) + "0\r\n\r\n";
    let peer = server.connect().await.with_timeout(TIMEOUT);
    let response = send_request(peer, &request).await;
    assert!(response.status_line.contains(" 204 "), "{response:?}");
    let more = server.peak_resident_bytes() - before;
    assert!(more < 6 << 20, "{more} bytes more");
}
