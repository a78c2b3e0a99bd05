//! The bounds of logins.

use std::{num::NonZeroUsize, path::PathBuf, thread, time::Duration};

use proto::{
    config::{As, Count, Limit, TimeSpan, TomlError, word},
    credentials::TicketPolicy,
    escape::is_unsafe,
    login::LoginPolicy,
};
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

use crate::{
    admission::BudgetPolicy, auth::HashingPolicy, config::values::up_to, handshake::BasicAuthMode,
};

/// The least lifetime of a ticket, whose times are in seconds.
const MIN_LIFETIME: Duration = Duration::from_secs(1);

/// The greatest length of the name of the servers, in bytes.
const MAX_TICKET_NAME_BYTES: usize = 255;

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
    /// The file of the secret that tickets are derived from. Without it, tickets end with the process.
    pub ticket_secret_file: Option<PathBuf>,
    /// The name of the servers that accept each other's tickets, if they have the same secret.
    #[serde(deserialize_with = "ticket_name")]
    pub ticket_name: String,
    /// The time from the issue of a ticket to its expiry.
    #[serde(with = "As::<TimeSpan>")]
    pub ticket_ttl: Duration,
    /// The time from the login by password after which no ticket of it is valid.
    #[serde(with = "As::<TimeSpan>")]
    pub ticket_max_age: Duration,
}

/// The key of [`LoginTable::ticket_secret_file`].
pub(crate) const TICKET_SECRET_FILE: &str = "login.ticket_secret_file";

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
            ticket_secret_file: None,
            ticket_name: "ws-server".to_owned(),
            ticket_ttl: TicketPolicy::DEFAULT.ttl,
            ticket_max_age: TicketPolicy::DEFAULT.max_age,
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

    /// Returns the bounds of the lifetime of tickets.
    pub(crate) fn tickets(&self) -> TicketPolicy {
        TicketPolicy {
            ttl: self.ticket_ttl,
            max_age: self.ticket_max_age,
        }
    }

    /// Checks the keys of tickets. `source` is the text that errors refer to.
    pub(super) fn check_tickets(&self, source: &str) -> Result<(), TomlError> {
        let refuse = |key, problem: &str| Err(TomlError::at_key(source, key, problem.to_owned()));
        if self.ticket_secret_file.is_some() && self.revocations_file.is_none() {
            let problem = "tickets of this secret outlive a restart, and revocations would not: write \
                           revocations_file too";
            return refuse(TICKET_SECRET_FILE, problem);
        }
        if !(MIN_LIFETIME..=TicketPolicy::MAX_TTL).contains(&self.ticket_ttl) {
            return refuse("login.ticket_ttl", "write \"1s\" to \"24h\"");
        }
        if self.ticket_max_age < MIN_LIFETIME {
            return refuse("login.ticket_max_age", "write at least \"1s\"");
        }
        Ok(())
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

fn ticket_name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let name = String::deserialize(deserializer)?;
    if name.is_empty() || name.len() > MAX_TICKET_NAME_BYTES || name.chars().any(is_unsafe) {
        return Err(D::Error::custom(format!(
            "write 1 to {MAX_TICKET_NAME_BYTES} bytes without control characters"
        )));
    }
    Ok(name)
}
