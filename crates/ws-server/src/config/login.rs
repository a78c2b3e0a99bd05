//! The bounds of logins.

use proto::{
    config::{Count, Limit, TimeSpan},
    login::LoginPolicy,
};
use serde::{Deserialize, Serialize};

use crate::{
    admission::BudgetPolicy,
    auth::HashingPolicy,
    config::values::{Threads, UpTo, word},
    handshake::BasicAuthMode,
};

/// A number of logins that may wait. With more, the last of them would wait for minutes.
pub(super) type QueuedLogins = UpTo<10_000>;

/// `[login]`.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct LoginTable {
    /// The time from the upgrade to the login.
    deadline: TimeSpan,
    /// The number of wrong attempts on one connection.
    max_attempts: Count,
    /// The use of credentials in the handshake.
    #[serde(deserialize_with = "word")]
    pub(super) basic: BasicAuthMode,
    /// The number of wrong attempts from one address until it must wait.
    max_failures_per_address: Limit<Count>,
    /// The time after which one of them no longer counts.
    failure_decay: TimeSpan,
    /// The number of passwords hashed at a time; one for each core, if it is left out.
    pub(super) hash_workers: Option<Threads>,
    /// The number of logins that may wait for a worker.
    pub(super) max_queued_logins: QueuedLogins,
}

impl Default for LoginTable {
    fn default() -> Self {
        let (login, budget) = (LoginPolicy::DEFAULT, BudgetPolicy::DEFAULT);
        Self {
            deadline: TimeSpan(login.deadline),
            max_attempts: Count(login.max_attempts),
            basic: BasicAuthMode::default(),
            max_failures_per_address: Limit::At(Count(budget.max_failures)),
            failure_decay: TimeSpan(budget.decay),
            hash_workers: None,
            max_queued_logins: UpTo(HashingPolicy::MAX_QUEUED),
        }
    }
}

impl LoginTable {
    /// Returns the bounds of the logins on one connection.
    pub(super) fn policy(&self) -> LoginPolicy {
        LoginPolicy {
            deadline: self.deadline.0,
            max_attempts: self.max_attempts.0,
        }
    }

    /// Returns the bounds of failures from one address, if there are any.
    pub(super) fn budget(&self) -> Option<BudgetPolicy> {
        let max_failures = self.max_failures_per_address.value()?;
        Some(BudgetPolicy {
            max_failures: max_failures.0,
            decay: self.failure_decay.0,
        })
    }
}
