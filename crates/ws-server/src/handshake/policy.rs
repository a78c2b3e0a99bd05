//! The handshake policy.

use serde::{Deserialize, Serialize};

use crate::{
    access::AllowedOrigin,
    request_head::RequestHead,
    route::{Route, Routes, is_token},
};

/// The greatest number of subprotocols that are passed on to an upstream. Each one is compared with those
/// before it.
const MAX_OFFERED: usize = 32;

/// The handshake policy, from the configuration.
#[derive(Debug, Clone, Default)]
pub struct HandshakePolicy {
    /// The origins whose pages may connect, besides the server's own host.
    pub allowed_origins: Vec<AllowedOrigin>,
    /// The supported subprotocols, in order of preference (RFC 6455 section 1.9).
    pub subprotocols: Vec<String>,
    /// The use of Basic credentials.
    pub basic: BasicAuthMode,
    /// The routes.
    pub routes: Routes,
    /// Serve the page to browsers that do not request an upgrade.
    pub page: bool,
}

impl HandshakePolicy {
    /// Returns the subprotocols that a client offers and that the route passes on to an upstream, each
    /// once. A route without a list passes on the first [`MAX_OFFERED`], unless there is a global list.
    pub(crate) fn offered_subprotocols(&self, route: &Route, head: &RequestHead) -> Vec<String> {
        let list = route.subprotocols.as_ref();
        let list = list.or(Some(&self.subprotocols).filter(|list| !list.is_empty()));
        let mut offered = Vec::new();
        for name in head.list("sec-websocket-protocol") {
            if offered.len() == MAX_OFFERED {
                break;
            }
            let is_listed = list.is_none_or(|list| list.iter().any(|listed| listed == name));
            if is_listed && is_token(name) && !offered.iter().any(|other| other == name) {
                offered.push(name.to_owned());
            }
        }
        offered
    }
}

/// The use of Basic credentials in requests (RFC 7617).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum BasicAuthMode {
    /// Credentials log the client in. Without them, it logs in by its first messages.
    #[default]
    Optional,
    /// A handshake without credentials is refused with 401.
    Required,
    /// Credentials are ignored, and the client logs in by its first messages. `POST` is not allowed.
    Off,
}

#[cfg(test)]
mod tests {
    use super::{HandshakePolicy, MAX_OFFERED};
    use crate::request_head::RequestHead;

    /// Former fault: thousands of names, each compared with all before it, cost 45 ms of a core.
    #[test]
    fn number_of_offered_subprotocols_bounded() {
        let policy = HandshakePolicy::default();
        let route = policy.routes.iter().next().unwrap();
        let names: Vec<String> = (0..4000).map(|number| format!("p{number}")).collect();
        let list = format!("p0, {}", names.join(","));
        let head = RequestHead::of("/", &[("Sec-WebSocket-Protocol", &list)]);
        let offered = policy.offered_subprotocols(route, &head);
        assert_eq!(offered, names[..MAX_OFFERED]);
    }
}
