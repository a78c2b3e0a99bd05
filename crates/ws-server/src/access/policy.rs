//! The access policy of a route.

use std::collections::BTreeSet;

use proto::username::UserName;

use crate::access::principal::Principal;

/// The access policy of a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// All users, after a login.
    Users,
    /// Only these users, after a login.
    Only(BTreeSet<UserName>),
    /// Everyone, without a login.
    Public,
}

impl Access {
    /// Returns the users that the policy names.
    pub(crate) fn users(&self) -> impl Iterator<Item = &UserName> {
        match self {
            Self::Only(users) => Some(users),
            Self::Users | Self::Public => None,
        }
        .into_iter()
        .flatten()
    }

    /// Returns true if the policy admits this user.
    pub(crate) fn admits_user(&self, user: &UserName) -> bool {
        match self {
            Self::Public | Self::Users => true,
            Self::Only(users) => users.contains(user),
        }
    }

    /// Returns true if the policy admits this user or guest.
    pub(crate) fn admits(&self, principal: &Principal) -> bool {
        match principal {
            Principal::User(identity) => self.admits_user(identity.user()),
            Principal::Guest(_) => *self == Self::Public,
        }
    }
}
