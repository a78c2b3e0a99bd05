//! The budget of wrong logins that each address has, over all its connections and both ways to log
//! in.

use integration_tests::{
    HttpResponse, LoginMethod, SORRY, ServerFiles, ServerProcess, accounts, assert_echo,
    authorization, client, close_frame_of, handshake_with, run, send_request,
};
use proto::close::CloseReason;
use raw_peer::{RawPeer, frame};
use rustix::process::Signal;
use tokio::net::TcpStream;

/// The addresses that the tests come from.
const ADDRESS: [u8; 4] = [127, 0, 0, 1];
const OTHER_ADDRESS: [u8; 4] = [127, 0, 0, 2];

/// How many wrong tries an address has by default.
const BUDGET: usize = 20;

/// A file that forgives nothing while a test runs.
const NO_DECAY: &str = "[login]\nfailure_decay = \"1h\"\n";

/// Asserts that a request is refused because of what others from its address did, and returns after
/// how many seconds it is to come again.
async fn assert_429(peer: RawPeer<TcpStream>, fields: &[&str]) -> u64 {
    let answer = send_request(peer, &handshake_with(fields)).await;
    let retry_after = answer.field("retry-after").to_owned();
    let expected = HttpResponse::refusal(
        "429 Too Many Requests",
        "too many wrong logins from this address, try again later",
        &[("retry-after", &retry_after)],
    );
    assert_eq!(answer, expected);
    retry_after.parse().expect("it is a number of seconds")
}

/// Asserts that an open connection gets no further try, however right it is.
async fn assert_closed_1013(peer: &mut RawPeer<TcpStream>, line: &str) {
    peer.send(frame::text(line)).await;
    assert_eq!(peer.text().await, SORRY);
    assert_eq!(
        peer.close().await,
        close_frame_of(CloseReason::TooManyFailures)
    );
    peer.send(frame::close(1013, "")).await;
    peer.end().await;
}

/// Presents wrong credentials so often, by both ways, on connections from `ADDRESS`.
async fn fail(server: &ServerProcess, times: usize) {
    let mut open = Vec::new();
    for number in 0..times {
        // Several tries on a connection, and several connections at a time.
        if number % 2 == 0 {
            LoginMethod::Basic
                .assert_rejected(server, "jane:wrong")
                .await;
            continue;
        }
        if number % 4 == 1 {
            let mut peer = server.connect_from(ADDRESS).await;
            peer.upgrade().await;
            open.push(peer);
        }
        let peer = open.last_mut().expect("there is one");
        peer.send(frame::text("jane:wrong")).await;
        assert_eq!(peer.text().await, SORRY);
    }
}

#[tokio::test]
async fn exhausted_budget_refuses_valid_credentials() {
    let files = ServerFiles::new(NO_DECAY, &accounts(&[("jane", "1")]));
    let server = files.serve().await;
    let mut session = LoginMethod::Basic.log_in(&server, "jane:1").await;
    let mut open = Vec::new();
    for _ in 0..2 {
        let mut peer = server.connect_from(ADDRESS).await;
        peer.upgrade().await;
        open.push(peer);
    }
    fail(&server, BUDGET - 1).await;
    // A right one pays nothing back, and there is one more try.
    LoginMethod::Message.log_in(&server, "jane:1").await;
    LoginMethod::Message
        .assert_rejected(&server, "jane:wrong")
        .await;

    let right = authorization("jane:1");
    for fields in [&[right.as_str()][..], &[&authorization("jane:wrong")], &[]] {
        let retry_after = assert_429(server.connect_from(ADDRESS).await, fields).await;
        assert!((3540..=3600).contains(&retry_after), "{retry_after}");
    }
    assert_closed_1013(&mut open[0], "jane:1").await;
    assert_closed_1013(&mut open[1], "jane:wrong").await;

    // It is the address that has to wait: neither the user, nor who is in already.
    for method in LoginMethod::ALL {
        let peer = server.connect_from(OTHER_ADDRESS).await;
        assert_echo(&mut method.log_in_on(peer, "jane:1").await, "hello").await;
    }
    assert_echo(&mut session, "still here").await;

    let command = client([server.url().as_str(), "--auth", "basic"]);
    let finished = run(command, "jane:1\nhello\n").await;
    assert_eq!(finished.code, Some(6), "{finished:?}");
    assert!(
        finished.stderr.contains("429 Too Many Requests"),
        "{finished:?}"
    );
    assert_eq!(finished.stdout(), "");

    // What was not verified has not failed, and does not fill the log.
    server.signal(Signal::TERM);
    assert_eq!(session.close().await.0, 1001);
    session.send(frame::close(1001, "")).await;
    let (_, _, log) = server.finish().await;
    let failed = log
        .lines()
        .filter(|line| line.contains("event=login_failed "));
    let (unverified, verified): (Vec<_>, Vec<_>) =
        failed.partition(|line| line.contains(" reason=budget_spent"));
    assert_eq!(verified.len(), BUDGET, "{log}");
    assert!((1..=2).contains(&unverified.len()), "{log}");
}

/// A request that wants nothing but to know what is wanted is no try.
#[tokio::test]
async fn requests_without_an_attempt_do_not_count() {
    let configuration = format!("{NO_DECAY}max_failures_per_address = 1\nbasic = \"required\"\n");
    let files = ServerFiles::new(&configuration, &accounts(&[("jane", "1")]));
    let server = files.serve().await;
    for fields in [
        &[][..],
        &["Origin: https://evil.example", &authorization("jane:wrong")],
    ] {
        for _ in 0..3 {
            let answer = send_request(server.connect().await, &handshake_with(fields)).await;
            assert_ne!(answer.status_line, "HTTP/1.1 429 Too Many Requests");
        }
    }
    LoginMethod::Basic.log_in(&server, "jane:1").await;
    LoginMethod::Basic
        .assert_rejected(&server, "jane:wrong")
        .await;
    assert_429(server.connect().await, &[&authorization("jane:1")]).await;
}
