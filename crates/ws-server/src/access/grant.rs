//! Grants: the access of a principal to a route.

use std::sync::Arc;

use crate::access::{pattern::PathPattern, principal::Principal};

/// The access of a principal to a route. A change of the settings may revoke it.
#[derive(Debug, Clone)]
pub(crate) struct Grant {
    /// The user or guest, with the credential of the login.
    pub(crate) principal: Principal,
    /// The paths of the route at admission. A reload may have removed or changed the route since.
    pub(crate) pattern: Arc<PathPattern>,
}
