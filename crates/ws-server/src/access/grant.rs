//! The right to be served, as it was granted.

use std::sync::Arc;

use super::{pattern::PathPattern, principal::Principal};

/// The right of a principal to be served on a route, which a later change of the settings may end.
#[derive(Debug, Clone)]
pub(crate) struct Grant {
    /// Who is served, and by which credential.
    pub(crate) principal: Principal,
    /// The paths of the route at admission. A reload may have removed or changed the route since.
    pub(crate) pattern: Arc<PathPattern>,
}
