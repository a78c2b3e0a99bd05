//! The WebSocket, once it is open.

mod link;
mod metered;

pub use self::link::{End, Farewell, Link, LinkTurn, Message, Reading};
