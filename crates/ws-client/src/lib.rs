//! A terminal for people and a pipe for scripts, in front of a WebSocket server that wants a login.
//!
//! The crate is the whole of the `ws-client` program. It deliberately is no library for other
//! clients: what is public serves the program and its tests. It does not reconnect, and lines of
//! text that are sent and messages that come are all that it knows of services, but for how a room
//! speaks.
//!
//! Start reading with `session`, which is what happens on an open connection.
//!
//! Only [`websocket`] knows tungstenite, only [`connect`] and [`tls`] know sockets. A session is
//! generic over both its ends, and its tests run it on streams in memory, with the clock paused.
//!
//! # Layers
//!
//! A file imports only its own layer and those below it.
//!
//! | layer | modules | holds |
//! |---|---|---|
//! | command line | `cli/` | arguments in, exit code out |
//! | session | `session/` | connect, log in, talk, close, and report why it ended |
//! | configuration | `config/` | flags over file over defaults, checked |
//! | tool | `tool/` | one handshake, shown to a reader |
//! | line editor | `console/editor/` | the console of a person at a terminal |
//! | console | `console/` | where lines come from and texts go to; the exact texts |
//! | WebSocket | `websocket/` | one message out at a time, and the messages that come |
//! | connection | `connect/` | TCP, TLS and the handshake within one deadline |
//! | handshake | `handshake/` | the request, and the verdict on the answer, as plain data |
//! | TLS | `tls/` | the trusted authorities, and why a certificate is refused |
//! | ground | `endpoint.rs`, `exit.rs`, `interrupt.rs` | a checked URL; exit codes; signals |

pub mod cli;
pub mod config;
pub mod connect;
pub mod console;
pub mod endpoint;
pub mod exit;
pub mod handshake;
pub mod tls;
pub mod tool;
pub mod websocket;

mod interrupt;
mod session;
