//! What those who keep a server have to know afterwards: who came in, who did not, and who changed
//! what.
//!
//! Each line of the target `audit` is written here and nowhere else, and has an `event`. It holds no
//! text of a peer but the name of an account that there is: people type passwords where names belong.
//! A name is a string in quotes, and every other field a word or a number, so no name looks like
//! another field.

use std::{
    fmt, mem,
    net::IpAddr,
    sync::{LazyLock, Mutex, PoisonError},
    time::{Duration, Instant},
};

use proto::{credentials::Accounts, username::UserName};
use sha2::{Digest as _, Sha256};
use tracing::info;

use crate::{
    auth::{Failure, Visitor},
    peer::Peer,
    session::ConnectionId,
};

/// What the lines are told apart by from all others.
const TARGET: &str = "audit";

/// How often there is a line about tries that were not verified.
const UNVERIFIED_INTERVAL: Duration = Duration::from_secs(1);

/// Somebody has logged in.
pub(crate) fn login_ok(visitor: &Visitor, user: &UserName) {
    info!(
        target: TARGET,
        event = %"login_ok",
        peer = %Address(visitor.address),
        connection = %visitor.connection,
        way = %visitor.way,
        user = user.as_str(),
        "logged in"
    );
}

/// Somebody has tried to log in, as a user of this name if it was one.
pub(crate) fn login_failed(
    visitor: &Visitor,
    name: Option<&Name<'_>>,
    failure: Failure,
    unverified: &Unverified,
) {
    let Some(more) = unverified.due(failure, Instant::now()) else {
        return;
    };
    info!(
        target: TARGET,
        event = %"login_failed",
        peer = %Address(visitor.address),
        connection = %visitor.connection,
        way = %visitor.way,
        user = name.map(Name::as_str),
        reason = %failure,
        more = (more > 0).then_some(more),
        "login failed"
    );
}

// placeholder begin
pub(crate) fn kicked(
    connection: ConnectionId,
    peer: Peer,
    user: Option<&UserName>,
    by: impl fmt::Display,
) {
    info!(target: TARGET, event = %"kicked", %connection, %peer, user = user.map(UserName::as_str), %by, "kicked");
}
pub(crate) fn user_revoked(user: &UserName, sessions_ended: usize, by: impl fmt::Display) {
    info!(target: TARGET, event = %"user_revoked", user = user.as_str(), sessions_ended, %by, "user revoked");
}
pub(crate) fn drain_asked_for(sessions: usize, by: impl fmt::Display) {
    info!(target: TARGET, event = %"drain", sessions, %by, "drain");
}
pub(crate) fn published(path: &str, bytes: usize, by: impl fmt::Display) {
    info!(target: TARGET, event = %"published", path, bytes, %by, "published");
}
// placeholder end

/// Tries that were not verified cost a peer nothing, and the budget of its address does not bound how
/// many there are. So there is a line a second at most for each reason, which says how many more there
/// were since the line before.
#[derive(Debug, Default)]
pub(crate) struct Unverified {
    budget_spent: Mutex<Sparse>,
    queue_full: Mutex<Sparse>,
}

#[derive(Debug, Default)]
struct Sparse {
    told_at: Option<Instant>,
    untold: u64,
}

impl Unverified {
    /// Whether there is a line about this failure, and how many others it stands for.
    fn due(&self, failure: Failure, now: Instant) -> Option<u64> {
        let sparse = match failure {
            Failure::BudgetSpent { .. } => &self.budget_spent,
            Failure::QueueFull => &self.queue_full,
            Failure::Malformed
            | Failure::UnknownUser
            | Failure::WrongPassword
            | Failure::Expired
            | Failure::Revoked
            | Failure::NoRight
            | Failure::Internal => return Some(0),
        };
        // A panic while the lock was held cannot have left it half changed.
        let mut sparse = sparse.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = sparse
            .told_at
            .is_none_or(|at| now.saturating_duration_since(at) >= UNVERIFIED_INTERVAL);
        if is_due {
            sparse.told_at = Some(now);
            Some(mem::take(&mut sparse.untold))
        } else {
            sparse.untold += 1;
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
