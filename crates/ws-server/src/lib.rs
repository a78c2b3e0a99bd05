//! A login in front of live WebSocket connections.
//!
//! The server takes HTTP handshakes, logs each connection in by the handshake or by its first
//! messages, and hands it to the service of its path, until the login is taken back or either side
//! ends. It deliberately knows nothing of much other HTTP than the handshake and one page, or of users
//! beyond one credentials file.
//!
//! A connection walks through the modules from top to bottom, and types carry the stage it is in:
//!
//! | module | what happens there | what comes out |
//! |---|---|---|
//! | `listener` | TCP is accepted | a stream |
//! | `server`, `admission`, `address` | the caps are looked at | an `Arrival` with a permit, held to the end |
//! | `tls` | where there is a certificate, the stream becomes an encrypted one | a stream |
//! | `http`, `handshake`, `route` | one request head is read and decided about | an upgraded stream |
//! | `session` (`socket`) | the WebSocket begins | a `Socket` |
//! | `auth` | the peer logs in, or need not | an `Authenticated`, which nothing else makes |
//! | `session` | messages flow | a `Session` |
//! | `service` | something is done with them | why the session ended |
//!
//! `connection` is that walk, written down in one function. Around it: `cli` and `config` are
//! complete before anything is bound, `settings` is what they say at the moment and `reload` keeps
//! that up to date, `peer` and `forwarded` tell who is at the other end, `page` is what a browser
//! gets, `log` is how the server speaks, `audit` what it says of who came and who changed what,
//! `introduction` what it says first, `service_manager` what it tells whoever started it, `shutdown`
//! how it is told to stop, and `descriptors` how many connections the system lets it have. For those
//! who keep the server, `control` is a hold on it, `metrics` counts, `admin` answers, and `ctl` is the
//! command that asks there. `hash_password` is a command of its own, which serves nobody.
//!
//! Start reading with `connection`, then `session`.

pub mod access;
pub mod admin;
pub mod admission;
mod auth;
pub mod cli;
pub mod config;
pub mod handshake;
pub mod limits;
mod log;
pub mod message;
mod metrics;
mod page;
pub mod peer;
mod process;
pub mod registry;
mod reload;
pub mod route;
pub mod server;
pub mod service;
pub mod session;
mod settings;
pub mod tls;
pub mod websocket;
