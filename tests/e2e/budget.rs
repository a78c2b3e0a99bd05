//! The failure budget of an address, over all its connections and both login methods.

use integration_tests::{
    HttpResponse, LoginMethod, SORRY, ServerFiles, ServerProcess, accounts, assert_echo,
    authorization, client, close_frame_of, handshake_with, run, send_request,
};
use proto::close::CloseReason;
use raw_peer::{RawPeer, frame};
use rustix::process::Signal;
use tokio::net::TcpStream;

/// The source addresses of the tests.
const ADDRESS: [u8; 4] = [127, 0, 0, 1];
const OTHER_ADDRESS: [u8; 4] = [127, 0, 0, 2];

/// The default number of failures per address.
const BUDGET: usize = 20;

/// A configuration in which no failure expires during a test.
const NO_DECAY: &str = "[login]\nfailure_decay = \"1h\"\n";

/// Asserts that a request gets 429. Returns the seconds in `Retry-After`.
async fn assert_429(peer: RawPeer<TcpStream>, fields: &[&str]) -> u64 {
    let answer = send_request(peer, &handshake_with(fields)).await;
    let retry_after = answer.field("retry-after").to_owned();
    let expected = HttpResponse::refusal(
        "429 Too Many Requests",
        "too many wrong logins from this address, try again later",
        &[("retry-after", &retry_after)],
    );
    assert_eq!(answer, expected);
    retry_after.parse().expect("Retry-After is in seconds")
}

/// Asserts that an open connection is closed at its next login attempt, with valid credentials as
/// well.
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

/// Makes this number of failed logins by both methods, on connections from [`ADDRESS`].
async fn fail(server: &ServerProcess, times: usize) {
    let mut open = Vec::new();
    for number in 0..times {
        // Several attempts on a connection, and several open connections.
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
        let peer = open.last_mut().expect("a connection is open");
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
    // A successful login returns nothing to the budget; one attempt is left.
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

    // Only the address is blocked: the user may log in elsewhere, and open sessions stay.
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

    // Attempts that were not verified are logged, but only rarely.
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

/// A request that only asks for the challenge is not an attempt.
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
