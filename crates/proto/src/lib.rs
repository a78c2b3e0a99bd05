//! What an authenticated WebSocket server and its client say to each other: plain data in, plain
//! data out.
//!
//! The crate knows the texts of the login, both halves of it as state machines, the names and
//! passwords that take part in it, the codes that connections are closed with, and how the two
//! programs read their TOML. It deliberately knows no runtime, no socket, no clock, no randomness
//! and no file: time and chance are arguments, and whoever calls does the waiting. That is what
//! lets the tests drive the two halves of the login against each other in memory.
//!
//! Start reading with [`login`], which is what the product exists for.
//!
//! # Layers
//!
//! A file imports only its own layer and those below it.
//!
//! | layer | modules | holds |
//! |---|---|---|
//! | login | `login/` | both halves of the login |
//! | close codes | `close.rs` | every close code: its meaning, and whether to connect again |
//! | accounts | `credentials/` | accounts (server) and configured credentials (client) from TOML |
//! | wire texts | `message.rs`, `basic.rs` | the credentials line and its replies; credentials in a request |
//! | names and passwords | `username.rs`, `password.rs`, `secret.rs` | a checked name; a plain password or an Argon2id hash; a secret that no output shows |
//! | ground | `config/`, `key.rs`, `escape.rs`, `plural.rs` | TOML errors and units; `Sec-WebSocket-Key`; escaped text; counts in words |

pub mod basic;
pub mod close;
pub mod config;
pub mod credentials;
pub mod escape;
pub mod key;
pub mod login;
pub mod message;
pub mod password;
pub mod plural;
pub mod secret;
pub mod username;
