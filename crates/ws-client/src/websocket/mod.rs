//! The WebSocket, once it is open.

mod link;
mod message;
mod metered;

pub use self::{
    link::{End, Farewell, Link, LinkTurn, Reading},
    message::{Message, Payload},
};
