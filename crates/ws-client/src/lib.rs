//! The `ws-client` program: a WebSocket client for servers that require a login.
//!
//! At a terminal it edits lines and prints messages above them. In a pipe it sends the lines of
//! stdin and writes messages to stdout.
//!
//! The library exists for the program and its tests only; other clients should not depend on it. The
//! client does not reconnect. It sends lines of text and receives messages. It parses the messages
//! of one service only: the JSON messages of a room.
//!
//! Start reading with `session`, which handles an open connection.
//!
//! Only [`websocket`] uses tungstenite. Only [`connect`] and [`tls`] use sockets. A session is
//! generic over its stream and its console. Its tests use in-memory streams and a paused clock.
//!
//! # Layers
//!
//! A file imports only its own layer and those below it.
//!
//! | layer | modules | holds |
//! |---|---|---|
//! | command line | `cli/` | arguments, exit code |
//! | session | `session/` | login, messages, closing handshake, report |
//! | configuration | `config/` | flags, file, defaults |
//! | tool | `tool/` | the command `ws-client handshake` |
//! | line editor | `console/editor/` | the console of an interactive session |
//! | console | `console/` | the input lines, the output queue, the rendering of messages |
//! | WebSocket | `websocket/` | the open WebSocket: messages, Close frames |
//! | connection | `connect/` | TCP, TLS and the opening handshake within one deadline |
//! | handshake | `handshake/` | the request, and the checks of the response, as plain data |
//! | TLS | `tls/` | root certificates, verification, the reasons of a failure |
//! | basics | `endpoint.rs`, `exit.rs`, `interrupt.rs`, `time_argument.rs` | the checked URL, exit codes, signals, times |

pub mod cli;
pub mod config;
pub mod connect;
pub mod console;
pub mod endpoint;
pub mod exit;
pub mod handshake;
pub mod time_argument;
pub mod tls;
pub mod tool;
pub mod websocket;

mod interrupt;
mod session;
