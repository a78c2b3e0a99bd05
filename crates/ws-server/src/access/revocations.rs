//! The users whose logins an operator has revoked, and the tickets that a revocation has ended.

use std::{collections::BTreeMap, time::SystemTime};

use proto::{
    credentials::{Accounts, CredentialFingerprint},
    username::UserName,
};

/// The revoked users, each until its credential changes or an operator allows it again. The tickets
/// that were issued up to then stay dead.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Revocations {
    revoked: BTreeMap<UserName, Revocation>,
    /// The users whose revocation has ended, with the time up to which their tickets are dead.
    ///
    /// An entry is kept for good, because the clock may be set back. There is one for each user who was
    /// ever revoked.
    ended: BTreeMap<UserName, SystemTime>,
}

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
        self.revoked.contains_key(user)
    }

    /// Returns true if the tickets of this user are dead that were issued at this time.
    pub(crate) fn ends_ticket(&self, user: &UserName, issued: SystemTime) -> bool {
        self.contains(user)
            || self
                .tickets_ended(user)
                .is_some_and(|ended| issued <= ended)
    }

    /// Returns the time up to which the tickets of this user are dead, if a revocation has ended.
    pub(crate) fn tickets_ended(&self, user: &UserName) -> Option<SystemTime> {
        self.ended.get(user).copied()
    }

    /// Adds or replaces the revocation of a user.
    pub(crate) fn insert(&mut self, user: UserName, revocation: Revocation) {
        self.revoked.insert(user, revocation);
    }

    /// Records that a revocation of this user has ended, with the time up to which tickets are dead.
    pub(crate) fn insert_ended(&mut self, user: UserName, tickets: SystemTime) {
        let ended = self.ended.entry(user).or_insert(tickets);
        *ended = tickets.max(*ended);
    }

    /// Ends the revocation of a user. Tickets that were issued up to `now` stay dead. Returns true if
    /// there was one.
    pub(crate) fn end(&mut self, user: &UserName, now: SystemTime) -> bool {
        let Some((user, revocation)) = self.revoked.remove_entry(user) else {
            return false;
        };
        // The clock may have been set back since.
        self.insert_ended(user, revocation.since.max(now));
        true
    }

    /// Ends the revocations whose users have another credential now, as [`Revocations::end`] does.
    /// Returns these users.
    ///
    /// A user that is missing stays revoked: the account may come back with the same credential.
    pub(crate) fn end_changed(&mut self, accounts: &Accounts, now: SystemTime) -> Vec<UserName> {
        let has_changed = |user: &UserName, revocation: &Revocation| {
            accounts.has_changed(user, &revocation.credential)
        };
        let changed = self
            .revoked
            .iter()
            .filter(|(user, it)| has_changed(user, it));
        let changed: Vec<_> = changed.map(|(user, _)| user.clone()).collect();
        for user in &changed {
            self.end(user, now);
        }
        changed
    }

    /// Returns the revocations, sorted by user name.
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = (&UserName, &Revocation)> {
        self.revoked.iter()
    }

    /// Returns the users whose revocation has ended, sorted by name, with the time up to which their
    /// tickets are dead.
    pub(crate) fn ended(&self) -> impl ExactSizeIterator<Item = (&UserName, SystemTime)> {
        self.ended.iter().map(|(user, tickets)| (user, *tickets))
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use proto::{credentials::Accounts, username::UserName};

    use super::{Revocation, Revocations};

    #[test]
    fn tickets_up_to_a_revocation_stay_dead() {
        let jane = UserName::parse("jane").unwrap();
        let accounts = |password: &str| {
            let user = format!("[[user]]\nname = \"jane\"\npassword = \"{password}\"");
            Accounts::from_toml(&user).unwrap()
        };
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let revocation = |since| Revocation {
            credential: accounts("x").fingerprint(&jane, [7; 16]).unwrap(),
            since: at(since),
            by: "uid:0".to_owned(),
        };
        let mut revocations = Revocations::default();
        assert!(!revocations.ends_ticket(&jane, at(0)));
        revocations.insert(jane.clone(), revocation(100));
        assert!(revocations.ends_ticket(&jane, at(1000)));
        assert!(revocations.end(&jane, at(200)) && !revocations.end(&jane, at(300)));
        assert!(revocations.ends_ticket(&jane, at(200)));
        assert!(!revocations.ends_ticket(&jane, at(201)));
        // The clock was set back before the revocation ended.
        revocations.insert(jane.clone(), revocation(400));
        assert!(revocations.end(&jane, at(50)));
        assert!(revocations.ends_ticket(&jane, at(400)));
        assert!(!revocations.ends_ticket(&jane, at(401)));
        // An earlier end does not shorten a later one.
        revocations.insert(jane.clone(), revocation(10));
        assert!(revocations.end(&jane, at(20)));
        assert!(revocations.ends_ticket(&jane, at(400)));
        // The password changed, and may be changed back.
        revocations.insert(jane.clone(), revocation(500));
        assert!(revocations.end_changed(&accounts("x"), at(600)).is_empty());
        assert_eq!(
            revocations.end_changed(&accounts("y"), at(600)),
            std::slice::from_ref(&jane)
        );
        assert!(revocations.ends_ticket(&jane, at(600)));
        assert!(!revocations.ends_ticket(&jane, at(601)));
    }
}
