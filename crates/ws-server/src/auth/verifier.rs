//! The one verifier behind every way to log in.

use std::{sync::Arc, time::SystemTime};

use proto::{
    credentials::Accounts,
    login::{Attempt, Verdict},
};

/// Checks credentials against the accounts.
#[derive(Debug, Clone)]
pub(crate) struct Verifier {
    accounts: Arc<Accounts>,
}

impl Verifier {
    /// A verifier of these accounts.
    pub(crate) fn new(accounts: Arc<Accounts>) -> Self {
        Self { accounts }
    }

    /// Whether a try is right. An unknown name takes as long as a wrong password.
    pub(crate) fn verify(&self, attempt: &Attempt) -> Verdict {
        let identity = match attempt {
            Attempt::Credentials(credentials) => {
                self.accounts.verify(credentials, SystemTime::now())
            }
            Attempt::Malformed => None,
        };
        identity.map_or(Verdict::Wrong, Verdict::Right)
    }
}
