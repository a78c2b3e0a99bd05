//! The bounds of logins.

use std::{num::NonZeroUsize, path::PathBuf, thread, time::Duration};

use proto::{
    config::{As, Count, Limit, TimeSpan, word},
    login::LoginPolicy,
};
use serde::{Deserialize, Serialize};

use crate::{
    admission::BudgetPolicy, auth::HashingPolicy, config::values::up_to, handshake::BasicAuthMode,
};

/// `[login]`.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct LoginTable {
    /// The time from the upgrade to the login.
    #[serde(with = "As::<TimeSpan>")]
    pub deadline: Duration,
    /// The number of wrong attempts on one connection.
    #[serde(with = "As::<Count>")]
    pub max_attempts: NonZeroUsize,
    /// The use of credentials in the handshake.
    #[serde(deserialize_with = "word")]
    pub basic: BasicAuthMode,
    /// The number of wrong attempts from one address until it must wait.
    #[serde(with = "As::<Limit<Count>>")]
    pub max_failures_per_address: Option<NonZeroUsize>,
    /// The time after which one of them no longer counts.
    #[serde(with = "As::<TimeSpan>")]
    pub failure_decay: Duration,
    /// The number of passwords hashed at a time; one for each core, if it is left out.
    #[serde(deserialize_with = "up_to::<1024, _, _>")]
    pub hash_workers: Option<NonZeroUsize>,
    /// The number of logins that may wait for a worker. With more than 10,000, the last of them would
    /// wait for minutes.
    #[serde(deserialize_with = "up_to::<10_000, _, _>")]
    pub max_queued_logins: NonZeroUsize,
    /// The file that keeps revocations of operators over a restart. Without it, a restart forgets them.
    pub revocations_file: Option<PathBuf>,
}

impl Default for LoginTable {
    fn default() -> Self {
        let (login, budget) = (LoginPolicy::DEFAULT, BudgetPolicy::DEFAULT);
        Self {
            deadline: login.deadline,
            max_attempts: login.max_attempts,
            basic: BasicAuthMode::default(),
            max_failures_per_address: Some(budget.max_failures),
            failure_decay: budget.decay,
            hash_workers: None,
            max_queued_logins: HashingPolicy::MAX_QUEUED,
            revocations_file: None,
        }
    }
}

impl LoginTable {
    /// Returns the bounds of the logins on one connection.
    pub(super) fn policy(&self) -> LoginPolicy {
        LoginPolicy {
            deadline: self.deadline,
            max_attempts: self.max_attempts,
        }
    }

    /// Returns the bounds of failures from one address, if there are any.
    pub(crate) fn budget(&self) -> Option<BudgetPolicy> {
        Some(BudgetPolicy {
            max_failures: self.max_failures_per_address?,
            decay: self.failure_decay,
        })
    }

    /// Returns the bounds of password hashing.
    pub(crate) fn hashing(&self) -> HashingPolicy {
        HashingPolicy {
            workers: self
                .hash_workers
                .or_else(|| thread::available_parallelism().ok())
                .unwrap_or(NonZeroUsize::MIN),
            max_queued: self.max_queued_logins,
        }
    }
}
