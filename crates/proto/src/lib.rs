//! What an authenticated WebSocket server and its client say to each other: plain data in, plain
//! data out.
//!
//! The crate knows the texts of the login, both halves of it as state machines, the names and
//! passwords that take part in it, the codes that connections are closed with, and how the two
//! programs read their TOML. It deliberately knows no runtime, no socket, no clock, no randomness
//! and no file: time and chance are arguments, and whoever calls does the waiting. That is what
//! lets the tests drive the two halves of the login against each other in memory.
//!
//! Start reading with [`login`], which is what the product exists for. Around it:
//!
//! | module | what it holds |
//! |---|---|
//! | [`message`] | the credentials line and the exact replies to it |
//! | [`login`] | both halves of the login |
//! | [`basic`] | credentials in an HTTP request |
//! | [`credentials`] | accounts (server) and configured credentials (client) from TOML |
//! | [`password`] | a password as the credentials file has it: plain, or an Argon2id hash |
//! | [`username`], [`secret`] | a name that was checked, a password that does not leak |
//! | [`close`] | every close code: what it means, whether to come back |
//! | [`key`] | `Sec-WebSocket-Key` and the accept value that answers it |
//! | [`escape`] | text of a stranger, made safe to show |
//! | [`plural`] | counts in words |
//! | [`config`] | TOML errors with line and suggestion; durations, sizes, limits |

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
