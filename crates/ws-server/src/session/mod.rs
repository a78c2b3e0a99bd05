//! A logged-in connection, as a service sees it: the session, and what a service needs besides.

mod admit;
mod keepalive;
mod rate;
mod session;

pub(crate) use self::admit::{Authenticated, NotAuthenticated, admit};
pub use self::session::{Event, Session};
pub use crate::{
    access::Principal,
    message::{Message, Text},
    registry::{DropCounts, Outbox, OutboxPolicy, OverflowPolicy, TrafficCounts},
    websocket::Ended,
};
