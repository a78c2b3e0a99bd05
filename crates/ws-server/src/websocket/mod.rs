//! The WebSocket of one connection (RFC 6455), and the byte stream below it.

mod byte_budget;
mod ended;
mod frames;
mod input_buffer;
mod output_buffer;
mod socket;
mod transport;
mod upstream_socket;

pub use self::ended::Ended;
pub(crate) use self::{
    byte_budget::{ByteTurns, is_exhausted},
    socket::{Incoming, WebSocket},
    upstream_socket::UpstreamSocket,
};
