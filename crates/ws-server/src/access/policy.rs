//! Who may use a route.

use std::collections::BTreeSet;

use proto::username::UserName;

use super::principal::Principal;

/// Who may come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// Everybody who has logged in.
    Users,
    /// These users only.
    Only(BTreeSet<UserName>),
    /// Everybody, without a login.
    Public,
}

impl Access {
    /// The users who are named.
    pub(crate) fn users(&self) -> impl Iterator<Item = &UserName> {
        match self {
            Self::Only(users) => Some(users),
            Self::Users | Self::Public => None,
        }
        .into_iter()
        .flatten()
    }

    /// Whether this user may come.
    pub(crate) fn admits_user(&self, user: &UserName) -> bool {
        match self {
            Self::Public | Self::Users => true,
            Self::Only(users) => users.contains(user),
        }
    }

    /// Whether it is somebody who may come.
    pub(crate) fn admits(&self, principal: &Principal) -> bool {
        match principal {
            Principal::User(identity) => self.admits_user(identity.user()),
            Principal::Guest(_) => *self == Self::Public,
        }
    }
}
