//! A terminal for people and a pipe for scripts, in front of a WebSocket server that wants a login.
//!
//! The crate is the whole of the `ws-client` program. It deliberately is no library for other
//! clients: what is public serves the program and its tests. It does not reconnect, and lines of
//! text that are sent and messages that come are all that it knows of services, but for how a room
//! speaks.
//!
//! Start reading with `session`, which is what happens on an open connection. The way there and
//! around it:
//!
//! | module | what it holds |
//! |---|---|
//! | [`cli`] | arguments in, exit code out |
//! | [`config`], [`endpoint`] | flags over file over defaults; a URL that was checked |
//! | [`handshake`] | the request, and the verdict on the answer, as plain data |
//! | [`connect`], [`tool`] | TCP, TLS and the handshake; the same, shown to a reader |
//! | [`tls`], [`stream`] | who is trusted, and what is wrong; a stream with TLS or without |
//! | [`link`], `meter` | the WebSocket: one message out at a time, and what comes meanwhile |
//! | `visit`, `session` | connect, and log in with the handshake; log in by messages, talk, part |
//! | `ending`, `last_words` | why it ended, what that means, and what is said about it |
//! | `console` | what a session needs of the place where lines come from and texts go to |
//! | `streams`, `outbox` | the console of scripts, and of terminals without an editor |
//! | `editor`, `terminal` | the console of a person, and the terminal that is given back |
//! | `dialogue`, `input`, [`render`] | the exact texts; what a line means; how a message is shown |
//! | `room_message`, `screen` | what a room tells its members, put in words; where it is shown |
//! | [`exit`], `interrupt` | exit codes; the signals that ask to end |
//!
//! Only [`link`] knows tungstenite, only [`connect`], [`tls`] and [`stream`] know sockets. A session is
//! generic over both its ends, and its tests run it on streams in memory, with the clock paused.

pub mod cli;
pub mod config;
pub mod connect;
pub mod endpoint;
pub mod exit;
pub mod handshake;
pub mod link;
pub mod render;
pub mod stream;
pub mod tls;
pub mod tool;

mod console;
mod dialogue;
mod editor;
mod ending;
mod input;
mod interrupt;
mod last_words;
mod meter;
mod outbox;
mod room_message;
mod screen;
mod session;
mod streams;
mod terminal;
mod visit;
