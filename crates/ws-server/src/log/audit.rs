//! The audit lines: logins, failed logins, revocations, and actions of operators.
//!
//! All lines of the target `audit` are written in this module, each with a field `event`. The only
//! text of a client in them is the name of an existing account, because users sometimes type a
//! password as the name. Names and other texts are quoted and escaped; all other fields are words and
//! numbers. So no text can imitate a field.

use std::{
    fmt,
    net::IpAddr,
    sync::LazyLock,
    time::{Duration, Instant, SystemTime},
};

use proto::{close::CloseReason, credentials::Accounts, escape::Escaped, username::UserName};
use sha2::{Digest as _, Sha256};
use tracing::{error, info, warn};

use crate::{
    access::{LoginContext, LoginFailure, LoginMethod, Principal},
    log::{Throttle, more},
    peer::{ConnectionId, Peer},
};

/// The `tracing` target of audit lines.
pub(crate) const TARGET: &str = "audit";

/// The minimum interval between lines about attempts that were not verified.
const UNVERIFIED_INTERVAL: Duration = Duration::from_secs(1);

/// Logs a successful login.
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

/// Logs a new ticket of a user, without the ticket.
pub(crate) fn ticket_issued(connection: ConnectionId, user: &UserName, expires: SystemTime) {
    info!(
        target: TARGET,
        event = %"ticket_issued",
        connection = connection.number(),
        user = user.as_str(),
        expires = %humantime::format_rfc3339_seconds(expires),
        "ticket issued"
    );
}

/// Logs a failed login, with the name if the attempt had one.
pub(crate) fn login_failed(
    context: &LoginContext,
    name: Option<&Name<'_>>,
    failure: LoginFailure,
    unverified: &UnverifiedLimiter,
) {
    let Some(suppressed) = unverified.due(context.method, failure, Instant::now()) else {
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
        more = more(suppressed),
        "login failed"
    );
}

/// Logs that a session ends because its login or its access to the route was revoked.
pub(crate) fn session_revoked(connection: ConnectionId, principal: &Principal, why: CloseReason) {
    info!(
        target: TARGET,
        event = %"session_revoked",
        connection = connection.number(),
        user = principal.to_string(),
        cause = why.to_string(),
        "session revoked"
    );
}

/// Logs a reload.
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

/// Logs a failed reload, which changed nothing.
pub(crate) fn reload_failed(cause: &str, problem: &str) {
    error!(
        target: TARGET,
        event = %"reload_failed",
        cause,
        "nothing was reloaded: {}",
        Escaped(problem)
    );
}

/// Logs the start of the drain.
pub(crate) fn drain_started(cause: &str) {
    info!(target: TARGET, event = %"drain_started", cause, "stopping");
}

/// Logs that a second signal aborted the drain.
pub(crate) fn drain_aborted(cause: &str) {
    warn!(target: TARGET, event = %"drain_aborted", cause, "stopping at once");
}

/// Logs the end of the drain. `cut_off` connections did not end by the deadline.
pub(crate) fn drain_ended(cut_off: usize) {
    info!(target: TARGET, event = %"drain_ended", cut_off, "stopped");
}

/// Logs that an operator closed a connection. It has a principal if it was admitted.
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

/// Logs that an operator revoked the logins of a user.
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

/// Logs that an operator allowed the logins of a revoked user again.
pub(crate) fn user_allowed(by: &str, user: &UserName) {
    info!(
        target: TARGET,
        event = %"user_allowed",
        by,
        user = user.as_str(),
        "revocation ended by an operator"
    );
}

/// Logs that a revocation has lapsed, because the user has another credential now.
pub(crate) fn revocation_lapsed(user: &UserName) {
    info!(
        target: TARGET,
        event = %"revocation_lapsed",
        user = user.as_str(),
        "revocation lapsed: the credential of the user has changed"
    );
}

/// Logs that an operator published a message, without its text.
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

/// Logs that an operator dropped the history of a room.
pub(crate) fn history_purged(by: &str, path: &str, messages: usize) {
    info!(
        target: TARGET,
        event = %"history_purged",
        by,
        path = Escaped(path).to_string(),
        messages,
        "history dropped by an operator"
    );
}

/// Logs the number of log lines lost at this point.
pub(crate) fn lines_lost(lines: u64) {
    warn!(
        target: TARGET,
        event = %"lines_lost",
        lines,
        "log lines lost: stderr was not read in time, or writing to it failed"
    );
}

/// A limiter for lines about attempts that were not verified, and about tickets.
///
/// Such attempts cost the client nothing, and the failure budget does not limit their number. So each
/// kind has at most one line a second, with the number of suppressed lines since the last one.
#[derive(Debug)]
pub(crate) struct UnverifiedLimiter {
    budget_exhausted: Throttle,
    queue_full: Throttle,
    /// Tickets that anybody can write.
    forged_ticket: Throttle,
    /// Tickets that were issued once, and have ended.
    ended_ticket: Throttle,
}

impl Default for UnverifiedLimiter {
    fn default() -> Self {
        Self {
            budget_exhausted: Throttle::new(UNVERIFIED_INTERVAL),
            queue_full: Throttle::new(UNVERIFIED_INTERVAL),
            forged_ticket: Throttle::new(UNVERIFIED_INTERVAL),
            ended_ticket: Throttle::new(UNVERIFIED_INTERVAL),
        }
    }
}

impl UnverifiedLimiter {
    /// Returns the number of suppressed lines if a line about this failure is due.
    fn due(&self, method: LoginMethod, failure: LoginFailure, now: Instant) -> Option<u64> {
        let line = match failure {
            LoginFailure::BudgetExhausted { .. } => &self.budget_exhausted,
            LoginFailure::QueueFull { .. } => &self.queue_full,
            LoginFailure::ForgedTicket => &self.forged_ticket,
            LoginFailure::ExpiredTicket
            | LoginFailure::CredentialChanged
            | LoginFailure::Malformed
            | LoginFailure::UnknownUser
            | LoginFailure::WrongPassword
            | LoginFailure::Expired
            | LoginFailure::Revoked
            | LoginFailure::Forbidden
            | LoginFailure::Internal { .. } => match method {
                LoginMethod::Ticket => &self.ended_ticket,
                LoginMethod::Message | LoginMethod::Basic => return Some(0),
            },
        };
        line.due(now)
    }
}

/// The user name of a login attempt, as the audit shows it.
#[derive(Debug)]
pub(crate) enum Name<'a> {
    /// The name of an existing user.
    Known(&'a UserName),
    /// A short hash of an unknown name, which may be a mistyped password.
    Unknown(String),
}

impl<'a> Name<'a> {
    /// Returns the audit form of a name.
    pub(crate) fn of(name: &'a UserName, accounts: &Accounts) -> Self {
        // Hashed in both cases, so that the time does not reveal which names exist.
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

/// Returns a keyed hash of an unknown name. It is stable while the process runs, and the random key
/// prevents a later dictionary attack. A user name has no `:`, so it cannot be equal.
fn unknown(name: &UserName) -> String {
    static KEY: LazyLock<Option<[u8; 32]>> = LazyLock::new(|| {
        let mut key = [0; 32];
        getrandom::fill(&mut key).ok().map(|()| key)
    });
    let Some(key) = *KEY else {
        // An unkeyed hash would allow a dictionary attack.
        return "unknown:".to_owned();
    };
    let hash = Sha256::new()
        .chain_update(key)
        .chain_update(name.as_str())
        .finalize();
    let short: [u8; 4] = std::array::from_fn(|index| hash[index]);
    format!("unknown:{:08x}", u32::from_be_bytes(short))
}

/// An address that displays an IPv4-mapped IPv6 address as IPv4.
struct Address(IpAddr);

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.to_canonical().fmt(f)
    }
}

#[cfg(test)]
#[path = "tests/audit.rs"]
mod tests;
