//! The handshake policy.

use serde::{Deserialize, Serialize};

use crate::{access::AllowedOrigin, route::Routes};

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
