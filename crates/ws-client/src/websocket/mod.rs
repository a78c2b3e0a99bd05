//! The WebSocket, once it is open.

mod link;
mod message;
mod metered;

pub use self::{
    link::{CloseFrame, Closed, Connection, ConnectionEvent, Reading},
    message::{Message, Payload},
};
