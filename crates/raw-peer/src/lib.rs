//! A WebSocket client that sends raw bytes, for tests.
//!
//! The client shares no code with the server under test, and it enforces no rule of RFC 6455. A test
//! sends any bytes, encoded by the functions of [`frame`] or by hand. A failed expectation panics.

pub mod frame;
mod raw_peer;

pub use self::raw_peer::{CREDENTIALS, HANDSHAKE, RawPeer};
