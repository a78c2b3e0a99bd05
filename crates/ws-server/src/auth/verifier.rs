//! The one verifier behind every way to log in.

use std::sync::Arc;

use proto::{
    credentials::{Accounts, Identity},
    message::Credentials,
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

    /// Who the credentials belong to, if they are right. An unknown name takes as long as a wrong
    /// password.
    pub(crate) fn verify(&self, credentials: &Credentials) -> Option<Identity> {
        self.accounts.verify(credentials)
    }
}
