//! A logged-in connection, as a service sees it: the session, and what a service needs besides.

mod keepalive;
mod rate;
mod session;

pub use self::session::{Event, Session};
pub use crate::{
    access::Principal,
    message::{Message, Text},
    registry::{Counts, Losses, Outbox, OutboxPolicy, WhenFull},
    websocket::Ended,
};
