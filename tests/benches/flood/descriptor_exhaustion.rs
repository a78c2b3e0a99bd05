//! A server without free file descriptors.

use std::time::{Duration, Instant};

use integration_tests::{
    BenchReport, ServerProcess, TEST_TIMEOUT, echoed, fixture, server_binary, to_f64,
};
use raw_peer::frame;
use tokio::{net::TcpStream, process::Command, time::sleep};

/// The descriptor limit, and the number of connections. Accepting connections only to reject them
/// already takes more descriptors than there are.
const DESCRIPTORS: usize = 60;
const CONNECTIONS: usize = 300;

/// The time without free descriptors.
const EXHAUSTED_TIME: Duration = Duration::from_secs(10);

/// The limits: CPU share, log size in KiB, and seconds until a handshake succeeds again.
const SHARE_LIMIT: f64 = 0.3;
const LOG_LIMIT: f64 = 256.0;
const RECOVERY_LIMIT: f64 = 10.0;

pub(crate) async fn run(report: &mut BenchReport) {
    let log = tempfile::NamedTempFile::new().expect("a file can be made");
    let mut command = Command::new("sh");
    command
        .arg("-c")
        .arg(format!(
            "ulimit -n {DESCRIPTORS} && exec \"$0\" \"$@\" 2>\"$LOG\""
        ))
        .env("LOG", log.path())
        .arg(server_binary())
        .arg("--config")
        .arg(fixture("server.toml"))
        .args(["--listen", "127.0.0.1:0"]);
    let server = ServerProcess::spawn(command).await;
    let mut user = server.connect().await;
    user.log_in().await;
    let mut silent = Vec::new();
    for _ in 0..CONNECTIONS {
        silent.push(
            TcpStream::connect(server.address)
                .await
                .expect("the backlog has room"),
        );
    }
    let (start, before) = (Instant::now(), server.processor_time());
    sleep(EXHAUSTED_TIME).await;
    let worked = server.processor_time().saturating_sub(before);
    let share = worked.as_secs_f64() / start.elapsed().as_secs_f64();
    report.at_most("without descriptors: CPU share", share, SHARE_LIMIT);
    let logged = log
        .as_file()
        .metadata()
        .expect("the file has metadata")
        .len();
    report.at_most(
        "without descriptors: KiB of log",
        to_f64(logged) / 1024.0,
        LOG_LIMIT,
    );
    user.send(frame::text("still served")).await;
    assert_eq!(user.text().await, echoed("still served"));

    // With this descriptor limit there is only one slot, so the user must leave too.
    drop((silent, user));
    let start = Instant::now();
    // The server first accepts the dropped connections and finds them closed.
    while !server.is_accepting().await {
        assert!(
            start.elapsed() < TEST_TIMEOUT,
            "the server does not recover"
        );
    }
    let recovery = start.elapsed().as_secs_f64();
    report.at_most(
        "seconds until the server recovers",
        recovery,
        RECOVERY_LIMIT,
    );
}
