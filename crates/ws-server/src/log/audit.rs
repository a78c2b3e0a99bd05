//! What those who keep a server have to know afterwards: who came in, who did not, and who changed
//! what.
//!
//! Each line of the target `audit` is written here and nowhere else, and has an `event`. It holds no
//! text of a peer but the name of an account that there is: people type passwords where names belong.
//! Names and other texts are strings in quotes, escaped, and all other fields are words and numbers, so
//! no text looks like another field.

use std::{
    fmt, mem,
    net::IpAddr,
    sync::{LazyLock, Mutex, PoisonError},
    time::{Duration, Instant},
};

use proto::{close::CloseReason, credentials::Accounts, escape::Escaped, username::UserName};
use sha2::{Digest as _, Sha256};
use tracing::{error, info, warn};

use crate::{
    access::{LoginContext, LoginFailure, Principal},
    peer::{ConnectionId, Peer},
};

/// What the lines are told apart by from all others.
pub(crate) const TARGET: &str = "audit";

/// How often there is a line about tries that were not verified.
const UNVERIFIED_INTERVAL: Duration = Duration::from_secs(1);

/// Somebody has logged in.
pub(crate) fn login_ok(context: &LoginContext, user: &UserName) {
    info!(
        target: TARGET,
        event = %"login_ok",
        peer = %Address(context.address),
        connection = context.connection.number(),
        method = %context.method,
        user = user.as_str(),
        "logged in"
    );
}

/// Somebody has tried to log in, as a user of this name if it was one.
pub(crate) fn login_failed(
    context: &LoginContext,
    name: Option<&Name<'_>>,
    failure: LoginFailure,
    unverified: &UnverifiedLimiter,
) {
    let Some(more) = unverified.due(failure, Instant::now()) else {
        return;
    };
    info!(
        target: TARGET,
        event = %"login_failed",
        peer = %Address(context.address),
        connection = context.connection.number(),
        method = %context.method,
        user = name.map(Name::as_str),
        reason = %failure,
        more = (more > 0).then_some(more),
        "login failed"
    );
}

/// A session is told to end, because what its user was let in by, or the right to be there, is gone.
pub(crate) fn session_revoked(connection: ConnectionId, principal: &Principal, why: CloseReason) {
    info!(
        target: TARGET,
        event = %"session_revoked",
        connection = connection.number(),
        user = principal.to_string(),
        cause = why.to_string(),
        "login taken back"
    );
}

/// Another configuration and other accounts hold from now on.
pub(crate) fn reloaded(cause: &str, users: usize, changed: Option<&str>, sessions_ended: usize) {
    info!(
        target: TARGET,
        event = %"reloaded",
        cause,
        users,
        changed,
        sessions_ended,
        "reloaded"
    );
}

/// The files cannot be used, and all stays as it was.
pub(crate) fn reload_failed(cause: &str, problem: &str) {
    error!(
        target: TARGET,
        event = %"reload_failed",
        cause,
        "nothing was reloaded: {}",
        Escaped(problem)
    );
}

/// The server takes nobody in any more, and ends all connections in order.
pub(crate) fn drain_started(cause: &str) {
    info!(target: TARGET, event = %"drain_started", cause, "stopping");
}

/// The server does not wait for the connections to end any more.
pub(crate) fn drain_aborted(cause: &str) {
    warn!(target: TARGET, event = %"drain_aborted", cause, "stopping at once");
}

/// All connections have ended, but for those that did not in time.
pub(crate) fn drain_ended(cut_off: usize) {
    info!(target: TARGET, event = %"drain_ended", cut_off, "stopped");
}

/// An operator has ended a connection, and with it a session if somebody was let in.
pub(crate) fn kicked(
    by: &str,
    connection: ConnectionId,
    peer: Peer,
    principal: Option<&Principal>,
) {
    info!(
        target: TARGET,
        event = %"kicked",
        by,
        peer = %Address(peer.address()),
        connection = connection.number(),
        user = principal.map(ToString::to_string),
        "connection ended by an operator"
    );
}

/// An operator has taken the logins of a user back, and so many sessions end.
pub(crate) fn user_revoked(by: &str, user: &UserName, sessions_ended: usize) {
    info!(
        target: TARGET,
        event = %"user_revoked",
        by,
        user = user.as_str(),
        sessions_ended,
        "user revoked by an operator"
    );
}

/// An operator has said something in a room. What it was is nobody's business here.
pub(crate) fn published(by: &str, path: &str, bytes: usize) {
    info!(
        target: TARGET,
        event = %"published",
        by,
        path = Escaped(path).to_string(),
        bytes,
        "published by an operator"
    );
}

/// So many lines of the log are missing here.
pub(crate) fn lines_lost(lines: u64) {
    warn!(
        target: TARGET,
        event = %"lines_lost",
        lines,
        "log lines were lost: nobody read them, or they could not be written"
    );
}

/// Tries that were not verified cost a peer nothing, and the budget of its address does not bound how
/// many there are. So there is a line a second at most for each reason, which says how many more there
/// were since the line before.
#[derive(Debug, Default)]
pub(crate) struct UnverifiedLimiter {
    budget_spent: Mutex<ThrottledLine>,
    queue_full: Mutex<ThrottledLine>,
}

#[derive(Debug, Default)]
struct ThrottledLine {
    last_logged: Option<Instant>,
    suppressed: u64,
}

impl UnverifiedLimiter {
    /// Whether there is a line about this failure, and how many others it stands for.
    fn due(&self, failure: LoginFailure, now: Instant) -> Option<u64> {
        let line = match failure {
            LoginFailure::BudgetExhausted { .. } => &self.budget_spent,
            LoginFailure::QueueFull => &self.queue_full,
            LoginFailure::Malformed
            | LoginFailure::UnknownUser
            | LoginFailure::WrongPassword
            | LoginFailure::Expired
            | LoginFailure::Revoked
            | LoginFailure::Forbidden
            | LoginFailure::Internal => return Some(0),
        };
        // A panic while the lock was held cannot have left it half changed.
        let mut line = line.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = line
            .last_logged
            .is_none_or(|at| now.saturating_duration_since(at) >= UNVERIFIED_INTERVAL);
        if is_due {
            line.last_logged = Some(now);
            Some(mem::take(&mut line.suppressed))
        } else {
            line.suppressed += 1;
            None
        }
    }
}

/// The name that somebody has tried.
#[derive(Debug)]
pub(crate) enum Name<'a> {
    /// There is such a user.
    Known(&'a UserName),
    /// There is none, and it may be a password: a short hash stands for it.
    Unknown(String),
}

impl<'a> Name<'a> {
    /// How a name is told of while there are these accounts.
    pub(crate) fn of(name: &'a UserName, accounts: &Accounts) -> Self {
        // Whether or not it is needed: time is not to tell which names are known.
        let unknown = unknown(name);
        if accounts.has(name) {
            Self::Known(name)
        } else {
            Self::Unknown(unknown)
        }
    }

    fn as_str(&self) -> &str {
        match self {
            Self::Known(name) => name.as_str(),
            Self::Unknown(hash) => hash,
        }
    }
}

/// What stands for a name without an account: the same for the same name as long as the process runs,
/// and nothing that a list of names or passwords could be tried on afterwards. No user is called that:
/// names hold no `:`.
fn unknown(name: &UserName) -> String {
    static KEY: LazyLock<Option<[u8; 32]>> = LazyLock::new(|| {
        let mut key = [0; 32];
        getrandom::fill(&mut key).ok().map(|()| key)
    });
    let Some(key) = *KEY else {
        // Without a secret key it would be worse than no hash.
        return "unknown:".to_owned();
    };
    let hash = Sha256::new()
        .chain_update(key)
        .chain_update(name.as_str())
        .finalize();
    let short: [u8; 4] = std::array::from_fn(|index| hash[index]);
    format!("unknown:{:08x}", u32::from_be_bytes(short))
}

/// An address, written as IPv4 where it is one.
struct Address(IpAddr);

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.to_canonical().fmt(f)
    }
}

#[cfg(test)]
#[path = "tests/audit.rs"]
mod tests;
