//! The description of a route, for clients that ask before their handshake.
//!
//! A client must know the login of a route before it sends credentials: a public room would show them
//! to all members. The keys are a contract. New keys may follow, and clients ignore those that they
//! do not know. A handshake shows the same facts, so the description is not secret.

use http::{
    HeaderName, HeaderValue, Response,
    header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE, VARY, X_CONTENT_TYPE_OPTIONS},
};
use serde::Serialize;

use crate::{
    access::Access,
    handshake::policy::{BasicAuthMode, HandshakePolicy},
    route::Route,
};

/// The header fields of a description. Without a CORS field, pages of other origins cannot read it.
const FIELDS: [(HeaderName, &str); 5] = [
    (CONTENT_TYPE, "application/json"),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    // A reload may change the route.
    (CACHE_CONTROL, "no-store"),
    (VARY, "Accept, Upgrade"),
    (CONNECTION, "close"),
];

/// The description of a route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RouteDescription {
    /// The login that the route requires.
    pub login: RouteLogin,
    /// The kinds of messages that the service accepts.
    pub messages: &'static [MessageKind],
    /// The supported subprotocols, in order of preference.
    pub subprotocols: Vec<String>,
}

/// The login that a route requires.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RouteLogin {
    /// The client logs in by its first message.
    Message,
    /// The handshake requires Basic credentials.
    Basic,
    /// The route is public.
    None,
}

/// A kind of message (RFC 6455 section 5.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MessageKind {
    /// A text message.
    Text,
    /// A binary message.
    Binary,
}

impl RouteDescription {
    /// Describes a route.
    pub(super) fn new(route: &Route, policy: &HandshakePolicy) -> Self {
        let subprotocols = route.subprotocols.as_ref();
        Self {
            login: match (&route.access, policy.basic) {
                (Access::Public, _) => RouteLogin::None,
                (Access::Users | Access::Only(_), BasicAuthMode::Required) => RouteLogin::Basic,
                (Access::Users | Access::Only(_), BasicAuthMode::Optional | BasicAuthMode::Off) => {
                    RouteLogin::Message
                }
            },
            messages: if route.service.accepts_binary() {
                &[MessageKind::Text, MessageKind::Binary]
            } else {
                &[MessageKind::Text]
            },
            subprotocols: subprotocols.unwrap_or(&policy.subprotocols).clone(),
        }
    }

    /// Returns the response.
    pub(crate) fn response(&self) -> Response<String> {
        let json = serde_json::to_string(self).expect("texts are JSON");
        let mut response = Response::new(format!("{json}\n"));
        for (name, value) in FIELDS {
            let value = HeaderValue::from_static(value);
            response.headers_mut().insert(name, value);
        }
        response
    }
}
