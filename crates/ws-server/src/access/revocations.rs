//! The users whose logins an operator has revoked.

use std::{collections::BTreeMap, time::SystemTime};

use proto::{
    credentials::{Accounts, CredentialFingerprint},
    username::UserName,
};

/// The revoked users, each until its credential changes or an operator allows it again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Revocations(BTreeMap<UserName, Revocation>);

/// The revocation of a user's logins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Revocation {
    /// The revoked credential. Another one of the same user is not revoked.
    pub(crate) credential: CredentialFingerprint,
    /// The time of the revocation.
    pub(crate) since: SystemTime,
    /// The operator.
    pub(crate) by: String,
}

impl Revocations {
    /// Returns true if the logins of this user are revoked.
    pub(crate) fn contains(&self, user: &UserName) -> bool {
        self.0.contains_key(user)
    }

    /// Adds or replaces the revocation of a user.
    pub(crate) fn insert(&mut self, user: UserName, revocation: Revocation) {
        self.0.insert(user, revocation);
    }

    /// Removes the revocation of a user. Returns true if there was one.
    pub(crate) fn remove(&mut self, user: &UserName) -> bool {
        self.0.remove(user).is_some()
    }

    /// Removes the revocations whose users have another credential now. Returns these users.
    ///
    /// A user that is missing stays revoked: the account may come back with the same credential.
    pub(crate) fn remove_changed(&mut self, accounts: &Accounts) -> Vec<UserName> {
        let has_changed = |user: &UserName, revocation: &Revocation| {
            accounts.has_changed(user, &revocation.credential)
        };
        let changed = self.0.iter().filter(|(user, it)| has_changed(user, it));
        let changed: Vec<_> = changed.map(|(user, _)| user.clone()).collect();
        for user in &changed {
            self.0.remove(user);
        }
        changed
    }

    /// Returns the revocations, sorted by user name.
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = (&UserName, &Revocation)> {
        self.0.iter()
    }
}
