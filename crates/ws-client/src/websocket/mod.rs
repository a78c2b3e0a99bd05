//! The WebSocket, once it is open.

mod connection;
mod message;
mod metered;

pub use self::{
    connection::{CloseFrame, Closed, Connection, ConnectionEvent, Reading},
    message::{Message, Payload},
};
