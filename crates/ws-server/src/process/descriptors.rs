//! The file descriptor limit of the process, and its split between connections and other uses.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The number of connections over a cap that are accepted only to be answered with 503.
pub(crate) const REJECTION_MARGIN: usize = 64;

/// The maximum of concurrent connections to each admin address. One of them waits for a slot, and
/// more wait in the backlog. The limit is per address, so that clients of the TCP address cannot block the Unix socket.
pub(crate) const MAX_ADMIN_CONNECTIONS: usize = 16;

/// The descriptors reserved for all else: the listener, the log, the runtime, files read at a reload,
/// and two admin addresses, which must stay reachable when the server is full.
const OTHER_DESCRIPTORS: usize = 16 + 2 * MAX_ADMIN_CONNECTIONS;

/// Raises the soft limit to the hard limit, if the system allows it.
pub(crate) fn raise_limit() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: maximum,
        maximum,
    };
    // On failure the lower limit applies: see `limit`.
    let _ = setrlimit(Resource::Nofile, raised);
}

/// Returns the soft limit, or `None` if there is no limit.
pub(crate) fn limit() -> Option<usize> {
    let limit = getrlimit(Resource::Nofile).current?;
    Some(usize::try_from(limit).unwrap_or(usize::MAX))
}

/// Returns the number of connections that this limit allows, not counting rejected ones.
pub(crate) fn available_for_connections(limit: usize) -> usize {
    limit.saturating_sub(REJECTION_MARGIN + OTHER_DESCRIPTORS)
}

#[cfg(test)]
mod tests {
    use super::available_for_connections;

    #[test]
    fn limit_reserves_descriptors_for_other_uses() {
        assert_eq!(available_for_connections(256), 144);
        assert_eq!(available_for_connections(10), 0);
    }
}
