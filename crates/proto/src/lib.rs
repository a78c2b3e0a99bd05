//! The protocol that `ws-server` and `ws-client` share: plain data in, plain data out.
//!
//! The crate holds the login texts, both sides of the login as state machines, user names and
//! passwords, the table of close codes, and the TOML reader of both programs. It has no runtime,
//! socket, clock, random source or file access: time and random values are arguments, and the
//! caller does the I/O. So the tests run both sides of the login against each other in memory.
//!
//! Start reading with [`login`].
//!
//! # Layers
//!
//! A file imports only its own layer and those below it.
//!
//! | layer | modules | holds |
//! |---|---|---|
//! | login | `login/` | both sides of the login |
//! | close codes | `close.rs` | every close code: its meaning, and its retry policy |
//! | accounts | `credentials/` | accounts (server) and configured credentials (client) from TOML; the issuer of tickets |
//! | wire texts | `message.rs`, `basic.rs`, `ticket.rs` | the credentials line and its replies; credentials in HTTP (RFC 7617, RFC 6750); tickets |
//! | names and passwords | `username.rs`, `password.rs`, `secret.rs` | a validated name; a plain password or an Argon2id hash; a redacted, zeroed secret |
//! | basics | `config/`, `key.rs`, `escape.rs`, `plural.rs`, `text.rs`, `pem.rs` | TOML errors and units; `Sec-WebSocket-Key`; escaped text; singular and plural; byte order marks and NFC; PEM blocks |

pub mod basic;
pub mod close;
pub mod config;
pub mod credentials;
pub mod escape;
pub mod key;
pub mod login;
pub mod message;
pub mod password;
pub mod pem;
pub mod plural;
pub mod secret;
pub mod text;
pub mod ticket;
pub mod username;
