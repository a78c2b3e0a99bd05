//! A server without free file descriptors.

use std::time::{Duration, Instant};

use integration_tests::{
    ADMIN, AdminClient, CONFIGURATION, ServerFiles, ServerProcess, accounts, ctl_ok, echoed,
    fixture,
};
use raw_peer::frame;
use tokio::net::TcpStream;

#[tokio::test]
async fn accept_backs_off_until_descriptors_are_free() {
    // Fewer descriptors than the 64 connections that a full server accepts only to reject them.
    let command = ServerProcess::limited_command("-n 40", &fixture(CONFIGURATION));
    let mut server = ServerProcess::spawn(command).await;
    let mut user = server.connect().await;
    user.log_in().await;
    let mut silent = Vec::new();
    for _ in 0..100 {
        silent.push(TcpStream::connect(server.address).await.unwrap());
    }
    server.log_line("accept failed; retrying in 100 ms").await;
    let (start, worked_before) = (Instant::now(), server.processor_time());
    for _ in 0..2 {
        server.log_line("accept failed; retrying in 100 ms").await;
    }
    let (elapsed, worked) = (start.elapsed(), server.processor_time());
    assert!(
        elapsed > Duration::from_millis(1900),
        "three log lines within {elapsed:?}"
    );
    let share = worked.saturating_sub(worked_before);
    assert!(share < elapsed / 5, "{share:?} of CPU time in {elapsed:?}");

    user.send(frame::text("still served")).await;
    assert_eq!(user.text().await, echoed("still served"));
    drop((silent, user));
    // The server first accepts the dropped connections and finds them closed.
    while !server.is_accepting().await {}
}

/// The limits of the public address and of the admin TCP address are both exhausted.
#[tokio::test]
async fn full_server_still_accepts_the_admin_socket() {
    let configuration = format!("{ADMIN}[limits]\nmax_unauthenticated_per_address = \"off\"\n");
    let files = ServerFiles::new(&configuration, &accounts(&[("jane", "x")]));
    let command = ServerProcess::limited_command("-n 160", &files.path(CONFIGURATION));
    let mut server = ServerProcess::spawn(command).await;
    let admin = AdminClient::for_server(&mut server).await;
    let mut idle = Vec::new();
    for (address, connections) in [(server.address, 160), (admin.address(), 40)] {
        for _ in 0..connections {
            idle.push(TcpStream::connect(address).await.unwrap());
        }
    }
    let start = Instant::now();
    let output = ctl_ok(&files, &["reload"]).await;
    assert_eq!(output, "reloaded: 1 user, 0 sessions ended\n");
    // The idle connections are closed only later.
    assert!(start.elapsed() < Duration::from_secs(8));
}

#[tokio::test]
async fn soft_descriptor_limit_is_raised_to_the_hard_one() {
    let command = ServerProcess::limited_command("-S -n 70", &fixture(CONFIGURATION));
    let server = ServerProcess::spawn(command).await;
    // More connections than 70 descriptors allow. Each logs in before the next one connects, so the
    // limit of 64 unauthenticated connections is not reached.
    let mut users = Vec::new();
    for _ in 0..100 {
        let mut user = server.connect().await;
        user.log_in().await;
        users.push(user);
    }
}
