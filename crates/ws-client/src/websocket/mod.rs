//! The open WebSocket (RFC 6455 sections 5 to 7).

mod close_code;
mod connection;
mod message;
mod metered;

pub use tokio_tungstenite::tungstenite::Bytes;

pub(crate) use self::connection::{MAX_CLOSE_REASON, MAX_CONTROL_PAYLOAD};
pub use self::{
    connection::{CloseFrame, Closed, Connection, ConnectionEvent, PingTooLong, Reading},
    message::{Message, Payload},
};
