//! How many file descriptors the process may have, and how they are split.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// How many connections over the cap are told that the server is full.
pub(crate) const REJECTION_MARGIN: usize = 64;

/// How many connections there may be at once to each address of the operator; further ones wait to be
/// accepted. So whoever takes all places of an address that is for anybody does not keep the operator
/// from another.
pub(crate) const MAX_ADMIN_CONNECTIONS: usize = 16;

/// How many descriptors are for what is no connection of a peer: the listener, the log, the runtime,
/// files that are read again, and the operator by two addresses, who is needed most when all is full.
const OTHER_DESCRIPTORS: usize = 16 + 2 * MAX_ADMIN_CONNECTIONS;

/// Raises the soft limit to the hard one, if the system lets it.
pub(crate) fn raise_limit() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: maximum,
        maximum,
    };
    // Where it may not be raised, there are fewer connections: see `limit`.
    let _ = setrlimit(Resource::Nofile, raised);
}

/// How many there may be; none if there is no limit.
pub(crate) fn limit() -> Option<usize> {
    let limit = getrlimit(Resource::Nofile).current?;
    Some(usize::try_from(limit).unwrap_or(usize::MAX))
}

/// Returns how many connections of peers have a descriptor under this limit, the rejected ones aside.
pub(crate) fn available_for_connections(limit: usize) -> usize {
    limit.saturating_sub(REJECTION_MARGIN + OTHER_DESCRIPTORS)
}

#[cfg(test)]
mod tests {
    use super::available_for_connections;

    #[test]
    fn limit_leaves_descriptors_for_all_else() {
        assert_eq!(available_for_connections(256), 144);
        assert_eq!(available_for_connections(10), 0);
    }
}
