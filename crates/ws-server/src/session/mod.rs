//! Sessions: admission, keepalive, and the types that services use.

mod admit;
mod keepalive;
mod rate;
mod session;

pub use self::session::{Event, Session};
pub(crate) use self::{
    admit::{Authenticated, NotAuthenticated, admit},
    keepalive::{Keepalive, KeepaliveAction},
    rate::RateLimit,
};
pub use crate::{
    access::{LoginMethod, PathPattern, Principal, normalize_path},
    limits::Limits,
    message::{Message, Text},
    peer::ConnectionId,
    registry::{
        BufferBudget, DropCounts, Outbox, OutboxPolicy, OverflowPolicy, PushOutcome, TrafficCounts,
    },
    request_head::{RequestConnection, RequestHead, RequestScheme},
    tls::UpstreamTls,
    websocket::Ended,
};
pub(crate) use crate::{
    limits::MAX_DISCARDED_BYTES,
    registry::BackendBytes,
    websocket::{Incoming, UpstreamSocket},
};
