//! A thousand sessions of ten users, half of them busy. One user is removed, gets another password,
//! or expires. Measures the time until the last session of that user ends, and checks that no other
//! session is disturbed.

#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]

use std::{
    pin::pin,
    process::ExitCode,
    time::{Duration, Instant, SystemTime},
};

use futures::future::{Either, join, join_all, select};
use integration_tests::{
    ACCOUNTS, BenchReport, BenchServer, CpuPinning, LoginMethod, ServerFiles, ServerProcess,
    TEST_TIMEOUT, echoed, to_f64,
};
use proto::close::CloseReason;
use raw_peer::{
    RawPeer,
    frame::{self, Frame},
};
use tokio::{
    net::TcpStream,
    sync::watch,
    time::{sleep, timeout},
};

const USERS: usize = 10;
const SESSIONS_OF_EACH: usize = 100;

/// The user who loses access.
const REVOKED_USER: usize = 7;

/// The time under load before the change, and the time to wait for effects on other sessions
/// afterwards.
const BEFORE: Duration = Duration::from_millis(500);
const AFTER: Duration = Duration::from_secs(1);

/// The time from the change of the file to the expiry of the account.
const EXPIRY_DELAY: Duration = Duration::from_secs(3);

/// The revocation limit in milliseconds, and the time after which the benchmark stops waiting.
const LIMIT: f64 = 1000.0;
const TOO_LATE: Duration = Duration::from_secs(10);

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let pinning = CpuPinning::first_two_cpus();
    let mut report = BenchReport::default();
    for change in [
        AccountChange::Removed,
        AccountChange::Password,
        AccountChange::Expiry,
    ] {
        revoke(change, pinning, &mut report).await;
    }
    report.exit_code()
}

async fn revoke(change: AccountChange, pinning: CpuPinning, report: &mut BenchReport) {
    let account = |user| account(user, &password(user), "");
    let accounts: String = (0..USERS).map(account).collect();
    let files = ServerFiles::new("", &accounts);
    let bench_server = BenchServer::configured(&files, pinning).await;
    let mut sessions = Vec::new();
    for number in 0..USERS * SESSIONS_OF_EACH {
        sessions.push(BenchSession::new(&bench_server.process, number).await);
    }

    let (revoked_count, mut all_revoked) = watch::channel(0);
    let (over, is_over) = watch::channel(false);
    let changed = async {
        sleep(BEFORE).await;
        let since = change.apply(&files);
        // The results show whether all sessions ended.
        let _ = timeout(
            TOO_LATE,
            all_revoked.wait_for(|&revoked_count| revoked_count == SESSIONS_OF_EACH),
        )
        .await;
        sleep(AFTER).await;
        over.send_replace(true);
        since
    };
    let run = sessions.iter_mut().map(async |session| {
        let observed = session.run(change, is_over.clone()).await;
        if let Observed::Revocation(_) = observed {
            revoked_count.send_modify(|revoked_count| *revoked_count += 1);
        }
        observed
    });
    let (since, observed) = join(changed, join_all(run)).await;
    report_results(change, since, &sessions, &observed, report);
}

/// The change to the user's account.
#[derive(Debug, Clone, Copy)]
enum AccountChange {
    Removed,
    Password,
    Expiry,
}

impl AccountChange {
    fn name(self) -> &'static str {
        match self {
            Self::Removed => "user removed",
            Self::Password => "password changed",
            Self::Expiry => "account expired",
        }
    }

    /// Returns the close reason that the sessions must get.
    fn reason(self) -> CloseReason {
        match self {
            Self::Removed => CloseReason::UserRemoved,
            Self::Password => CloseReason::PasswordChanged,
            Self::Expiry => CloseReason::AccountExpired,
        }
    }

    /// Replaces the credentials file. Returns the moment at which the change takes effect.
    fn apply(self, files: &ServerFiles) -> Instant {
        let moment = SystemTime::now() + EXPIRY_DELAY;
        let accounts = (0..USERS).map(|user| match self {
            _ if user != REVOKED_USER => account(user, &password(user), ""),
            Self::Removed => String::new(),
            Self::Password => account(user, "another one", ""),
            Self::Expiry => {
                let moment = humantime::format_rfc3339_nanos(moment);
                account(user, &password(user), &format!("expires = {moment}\n"))
            }
        });
        files.replace(ACCOUNTS, &accounts.collect::<String>());
        match self {
            Self::Removed | Self::Password => Instant::now(),
            Self::Expiry => {
                let ahead = moment.duration_since(SystemTime::now());
                Instant::now() + ahead.expect("the expiry is in the future")
            }
        }
    }
}

/// A session of one user.
struct BenchSession {
    number: usize,
    peer: RawPeer<TcpStream>,
    echoes: u64,
}

/// The events of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Observed {
    /// Only the replies to its messages.
    EchoesOnly,
    /// The Close frame for the change, at this moment.
    Revocation(Instant),
    /// Anything else.
    Other,
}

impl BenchSession {
    /// Logs in as one of the users.
    async fn new(server: &ServerProcess, number: usize) -> Self {
        let peer = server.connect().await.with_timeout(TEST_TIMEOUT);
        let user = number % USERS;
        let credentials = format!("{}:{}", name(user), password(user));
        let peer = LoginMethod::Message.log_in_on(peer, &credentials).await;
        Self {
            number,
            peer,
            echoes: 0,
        }
    }

    fn is_revoked(&self) -> bool {
        self.number % USERS == REVOKED_USER
    }

    /// Returns whether the session is busy: half of the sessions of each user are.
    fn is_busy(&self) -> bool {
        (self.number / USERS).is_multiple_of(2)
    }

    /// Runs until the end of the benchmark. A busy session sends messages all the time, an idle one
    /// a single message at the end.
    async fn run(&mut self, change: AccountChange, mut over: watch::Receiver<bool>) -> Observed {
        if self.is_busy() {
            while !*over.borrow() {
                let observed = self.echo(change).await;
                if observed != Observed::EchoesOnly {
                    return observed;
                }
            }
        } else {
            let over = pin!(over.wait_for(|&over| over));
            if let Either::Right((unasked, _)) = select(over, pin!(self.peer.next())).await {
                return ended(change, unasked.as_ref());
            }
        }
        self.echo(change).await
    }

    async fn echo(&mut self, change: AccountChange) -> Observed {
        let text = format!("{} of {}", self.echoes, self.number);
        self.peer.try_send(frame::text(&text)).await;
        let expected = echoed(&text).into_bytes();
        match self.peer.next().await {
            Some(Frame {
                first: 0x81,
                payload,
            }) if payload == expected => {
                self.echoes += 1;
                Observed::EchoesOnly
            }
            other => ended(change, other.as_ref()),
        }
    }
}

/// Classifies a frame that is not the expected reply.
fn ended(change: AccountChange, frame: Option<&Frame>) -> Observed {
    let reason = change.reason();
    match frame {
        Some(frame)
            if frame.first == 0x88
                && frame.close() == (reason.code().0, reason.text().into_owned()) =>
        {
            Observed::Revocation(Instant::now())
        }
        Some(_) | None => Observed::Other,
    }
}

fn report_results(
    change: AccountChange,
    since: Instant,
    sessions: &[BenchSession],
    observed: &[Observed],
    report: &mut BenchReport,
) {
    let (mut revoked, mut served, mut disturbed) = (Vec::new(), 0, 0);
    for (session, observed) in sessions.iter().zip(observed) {
        match (*observed, session.is_revoked()) {
            (Observed::Revocation(at), true) => revoked.push(milliseconds(since, at)),
            (Observed::EchoesOnly, false) => served += 1,
            (Observed::Revocation(_) | Observed::Other, false) => disturbed += 1,
            (Observed::EchoesOnly | Observed::Other, true) => {}
        }
    }
    let name = change.name();
    let echoes: u64 = sessions.iter().map(|session| session.echoes).sum();
    println!("{name}: {echoes} echoes in total");
    let of_one = to_f64(SESSIONS_OF_EACH as u64);
    report.at_least(
        &format!("{name}: sessions of the user closed with 3000"),
        to_f64(revoked.len() as u64),
        of_one,
    );
    let first = revoked.iter().copied().fold(f64::INFINITY, f64::min);
    report.at_least(
        &format!("{name}: ms until the first Close frame"),
        first,
        0.0,
    );
    let last = revoked.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    report.at_most(
        &format!("{name}: ms until the last Close frame"),
        last,
        LIMIT,
    );
    report.at_least(
        &format!("{name}: other sessions that still echo"),
        to_f64(served),
        to_f64(USERS as u64 - 1) * of_one,
    );
    report.at_most(
        &format!("{name}: other sessions disturbed"),
        to_f64(disturbed),
        0.0,
    );
}

fn name(user: usize) -> String {
    format!("user {user}")
}

fn password(user: usize) -> String {
    format!("password of {user}")
}

fn account(user: usize, password: &str, more: &str) -> String {
    integration_tests::account(&name(user), &format!("password = \"{password}\"\n{more}"))
}

/// Returns the time from one moment to another, which may be negative.
fn milliseconds(since: Instant, at: Instant) -> f64 {
    let (late, early) = (
        at.saturating_duration_since(since),
        since.saturating_duration_since(at),
    );
    1e3 * (late.as_secs_f64() - early.as_secs_f64())
}
