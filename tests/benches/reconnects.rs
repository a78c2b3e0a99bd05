//! A thousand users who lose their connections at the same time and log in again with hashed
//! passwords. Measures the time until all are logged in, the refusals, and the echo latency of the
//! remaining sessions. The clients retry after a fixed pause or with back-off, from one address or
//! from one each. Then ten thousand users come back with tickets. An argument sets both numbers of
//! users.
//!
//! The benchmark has no limits: it measures the cost of hashing. Connections are not limited, and
//! no login fails.

#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]

use std::{
    net::SocketAddr,
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use futures::future::join_all;
use integration_tests::{
    BackgroundWork, BenchReport, BenchServer, CpuPinning, ServerFiles, TEST_TIMEOUT,
    WellBehavedClient, account, authorization, connect_from, handshake_with, loopback_address,
    password_hash, percentile,
};
use proto::{
    close::{CloseCode, CloseReason, Retry},
    credentials::{Accounts, TicketIssuer, TicketPolicy, TicketSecrets},
    message::{Credentials, is_congratulation},
    password::HashMemory,
};
use raw_peer::{HANDSHAKE, RawPeer, frame};
use tokio::{net::TcpStream, task::spawn_local, time::sleep};

const USERS: usize = 1000;

/// The number of users with tickets.
const TICKET_USERS: usize = 10_000;

/// The number of addresses of these users.
const TICKET_ADDRESSES: usize = 100;

/// The secret of the tickets, which the benchmark issues itself.
const SECRET: &str = "tickets.secret";

/// The number of sessions that stay connected.
const CLIENTS: usize = 20;

/// The pause of clients without back-off.
const SHORT_PAUSE: Duration = Duration::from_millis(100);

/// The first and the longest back-off pause. The pause doubles with each retry. A client waits a
/// random part of it, at least a half.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(16);

/// The password of all users. Each account has its own hash of it, of the same cost.
const PASSWORD: &str = "the same for all";

/// The retry policy of a refused client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RetryPolicy {
    FixedPause,
    BackOff,
}

/// The outcome of a login attempt.
enum LoginOutcome {
    LoggedIn(RawPeer<TcpStream>),
    /// The attempt was refused. Holds the value of `Retry-After`, if there was one.
    Refused(Option<Duration>),
    /// The connection ended at the login deadline without a verdict.
    TimedOut,
}

/// The outcome for one user.
#[derive(Debug, Clone, Copy)]
struct Reconnected {
    after: Duration,
    refusals: usize,
    timeouts: usize,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let number = std::env::args().find_map(|argument| argument.parse().ok());
    let users: usize = number.unwrap_or(USERS);
    let pinning = CpuPinning::first_two_cpus();
    for policy in [RetryPolicy::FixedPause, RetryPolicy::BackOff] {
        for addresses in [1, users] {
            run(policy, users, addresses, pinning).await;
        }
    }
    let mut report = BenchReport::default();
    run_with_tickets(number.unwrap_or(TICKET_USERS), pinning, &mut report).await;
    report.exit_code()
}

/// Lets all users come back with tickets, whose cost does not depend on the accounts' hashes.
async fn run_with_tickets(users: usize, pinning: CpuPinning, report: &mut BenchReport) {
    let configuration = format!(
        "[login]\n\
         ticket_secret_file = \"{SECRET}\"\n\
         revocations_file = \"revocations.toml\"\n\
         [limits]\n\
         max_connections = {all}\n\
         max_unauthenticated = {all}\n\
         max_unauthenticated_per_address = \"off\"\n",
        all = 2 * users + CLIENTS,
    );
    let accounts = accounts(users, &format!("password = \"{PASSWORD}\""));
    let files = ServerFiles::new(&configuration, &accounts);
    let secret = "0f".repeat(32);
    files.replace(SECRET, &secret);
    files.allow(SECRET, 0o600);
    let tickets = tickets(users, &accounts, &secret);
    let bench_server = BenchServer::configured(&files, pinning).await;
    let logins: Arc<[String]> = tickets.into();
    let (reconnected, clients) = measure(
        &bench_server,
        RetryPolicy::BackOff,
        TICKET_ADDRESSES,
        logins,
    )
    .await;
    println!("with tickets:");
    print_results(
        RetryPolicy::BackOff,
        TICKET_ADDRESSES,
        &reconnected,
        &clients,
    );
    let last = reconnected.iter().map(|user| user.after).max();
    let last = last.unwrap_or_default().as_secs_f64();
    report.at_most("seconds until all users with tickets are in", last, 10.0);
    let latencies = clients.iter().flat_map(WellBehavedClient::latencies);
    let latencies: Vec<_> = latencies.copied().collect();
    let p99 = percentile(&latencies, 99);
    report.at_most("ms of the echo p99 meanwhile", p99, 50.0);
}

/// Returns a ticket of each user as a credentials line.
fn tickets(users: usize, accounts: &str, secret: &str) -> Vec<String> {
    let accounts = Accounts::from_toml(accounts).expect("the accounts are valid");
    let secrets = TicketSecrets::parse(secret).expect("the secret is valid");
    let issuer = TicketIssuer::new(Arc::new(secrets), "ws-server", TicketPolicy::DEFAULT);
    let now = SystemTime::now();
    let users = (0..users).map(|user| {
        let credentials = Credentials::parse(&credentials(user)).expect("the line is valid");
        let identity = accounts.verify(&credentials, now, &mut HashMemory::default());
        let identity = identity.expect("the password is right");
        let ticket = issuer.issue(&identity, None, now);
        let ticket = ticket.expect("the login is new").ticket.text();
        format!(":{}", ticket.expose())
    });
    users.collect()
}

async fn run(policy: RetryPolicy, users: usize, addresses: usize, pinning: CpuPinning) {
    let configuration = format!(
        "[limits]\n\
         max_unauthenticated = {all}\n\
         max_unauthenticated_per_address = \"off\"\n",
        // A refused connection may stay open for a moment.
        all = 2 * users,
    );
    let files = ServerFiles::new(&configuration, &accounts(users, &password_hash(PASSWORD)));
    let bench_server = BenchServer::configured(&files, pinning).await;
    let logins = (0..users).map(credentials).collect();
    let (reconnected, clients) = measure(&bench_server, policy, addresses, logins).await;
    print_results(policy, addresses, &reconnected, &clients);
}

/// Lets all users log in with these credentials lines, while other sessions stay. Returns both.
async fn measure(
    bench_server: &BenchServer,
    policy: RetryPolicy,
    addresses: usize,
    logins: Arc<[String]>,
) -> (Vec<Reconnected>, Vec<WellBehavedClient>) {
    let mut clients = Vec::new();
    for user in 0..CLIENTS {
        clients.push(WellBehavedClient::new(&bench_server.process, &credentials(user)).await);
    }

    let server = bench_server.process.address;
    let returning = BackgroundWork::start(move || reconnect_all(server, logins, addresses, policy));
    join_all(clients.iter_mut().map(async |client| {
        while !returning.is_finished() {
            client.echo().await;
        }
    }))
    .await;
    let reconnected = returning.stop().expect("the work has finished");
    (reconnected, clients)
}

/// Logs in all users, and waits for the last one.
async fn reconnect_all(
    server: SocketAddr,
    logins: Arc<[String]>,
    addresses: usize,
    policy: RetryPolicy,
) -> Vec<Reconnected> {
    let start = Instant::now();
    let returning = (0..logins.len()).map(|user| {
        let logins = Arc::clone(&logins);
        spawn_local(async move {
            let address = loopback_address(1 + user % addresses);
            let (mut pause, mut refusals, mut timeouts) = (FIRST_PAUSE, 0, 0);
            loop {
                let stream = connect_from(address, server).await;
                let stream = stream.expect("the backlog has room");
                let retry_after = match log_in(stream, &logins[user], user.is_multiple_of(2)).await
                {
                    LoginOutcome::LoggedIn(peer) => {
                        let after = start.elapsed();
                        let user = Reconnected {
                            after,
                            refusals,
                            timeouts,
                        };
                        return (peer, user);
                    }
                    LoginOutcome::Refused(retry_after) => {
                        refusals += 1;
                        retry_after.unwrap_or_default()
                    }
                    LoginOutcome::TimedOut => {
                        timeouts += 1;
                        Duration::ZERO
                    }
                };
                match policy {
                    RetryPolicy::FixedPause => sleep(SHORT_PAUSE).await,
                    RetryPolicy::BackOff => {
                        sleep(retry_after + pause.mul_f64(0.5 + 0.5 * fastrand::f64())).await;
                        pause = LONGEST_PAUSE.min(2 * pause);
                    }
                }
            }
        })
    });
    // The sessions stay open until all users are logged in.
    let returned = join_all(returning.collect::<Vec<_>>()).await;
    let returned = returned.into_iter();
    let returned = returned.map(|returned| returned.expect("the task succeeds").1);
    returned.collect()
}

/// Attempts a login. Every other user logs in by Basic authentication, the rest by a message.
async fn log_in(stream: TcpStream, credentials: &str, is_basic: bool) -> LoginOutcome {
    let mut peer = RawPeer::new(stream).with_timeout(TEST_TIMEOUT);
    let request = if is_basic {
        handshake_with(&[&authorization(credentials)]).into_bytes()
    } else {
        [HANDSHAKE.as_bytes(), &frame::text(credentials)].concat()
    };
    peer.try_send(request).await;
    let Some(head) = peer.try_head().await else {
        return LoginOutcome::TimedOut;
    };
    match head.get(9..12) {
        Some("101") if is_basic => return LoginOutcome::LoggedIn(peer),
        Some("101") => {}
        Some("503") => {
            let retry_after = head
                .lines()
                .find_map(|line| line.strip_prefix("Retry-After: "));
            let retry_after = retry_after
                .map(|retry_after| retry_after.parse().expect("Retry-After is in seconds"));
            return LoginOutcome::Refused(retry_after.map(Duration::from_secs));
        }
        Some(_) | None => panic!("{head}"),
    }
    let Some(answer) = peer.next().await else {
        return LoginOutcome::TimedOut;
    };
    if answer.first == 0x81 {
        let welcome = String::from_utf8(answer.payload).expect("a text message is UTF-8");
        assert!(is_congratulation(&welcome), "{welcome}");
        return LoginOutcome::LoggedIn(peer);
    }
    let (code, reason) = answer.close();
    if code == CloseReason::LoginTimeout.code().0 {
        return LoginOutcome::TimedOut;
    }
    assert_eq!(CloseCode(code).retry(), Retry::BackOff, "{code}, {reason}");
    LoginOutcome::Refused(None)
}

fn print_results(
    policy: RetryPolicy,
    addresses: usize,
    reconnected: &[Reconnected],
    clients: &[WellBehavedClient],
) {
    let policy = match policy {
        RetryPolicy::FixedPause => "fixed pause",
        RetryPolicy::BackOff => "back-off",
    };
    let after: Vec<_> = reconnected.iter().map(|it| it.after).collect();
    let refusals: usize = reconnected.iter().map(|it| it.refusals).sum();
    let timeouts: usize = reconnected.iter().map(|it| it.timeouts).sum();
    let worst = reconnected.iter().map(|it| it.refusals).max();
    println!(
        "{} users of {addresses} addresses, {policy}: half logged in after {:.1} s, all after \
         {:.1} s; {refusals} refusals, at most {} of one user; {timeouts} timeouts",
        reconnected.len(),
        percentile(&after, 50) / 1e3,
        percentile(&after, 100) / 1e3,
        worst.unwrap_or_default(),
    );
    let latencies: Vec<_> = clients
        .iter()
        .flat_map(WellBehavedClient::latencies)
        .copied()
        .collect();
    println!(
        "  {} echoes of {CLIENTS} open sessions: {:.1} ms at the 99th percentile, {:.1} ms maximum",
        latencies.len(),
        percentile(&latencies, 99),
        percentile(&latencies, 100)
    );
}

fn credentials(user: usize) -> String {
    format!("user {user}:{PASSWORD}")
}

/// Returns the accounts of all users, with this line for their password.
fn accounts(users: usize, password: &str) -> String {
    let users = 0..users.max(CLIENTS);
    users
        .map(|user| account(&format!("user {user}"), password))
        .collect()
}
