//! A login in front of live WebSocket connections.
//!
//! The server takes HTTP handshakes, logs each connection in by the handshake or by its first
//! messages, and hands it to the service of its path, until the login is taken back or either side
//! ends. It deliberately knows nothing of much other HTTP than the handshake and one page, or of users
//! beyond one credentials file.
//!
//! Start reading with `server/connection.rs`, which is the walk of a connection written down in one
//! function, then `session/`. The types carry the stage of a connection: `server/accepted.rs` an
//! `AcceptedConnection` with a permit, `websocket/` a `WebSocket`, `session/admit.rs` an
//! `Authenticated` that nothing else makes, and `session/session.rs` a `Session`, which a service in
//! `service/` runs.
//!
//! # Layers
//!
//! A file imports only its own layer and those below it. Read upward, the layers are the order in
//! which a connection meets them.
//!
//! | layer | modules | holds |
//! |---|---|---|
//! | command line | `cli/` | arguments in, exit code out; `ctl` and `hash-password` |
//! | operator | `admin/` | the operator's interface over HTTP |
//! | reload | `reload.rs` | the files, read again when they change |
//! | server | `server/` | accept, TLS and HTTP, the walk of a connection, drain |
//! | configuration | `config/` | the files, complete and checked before a port is bound |
//! | login | `auth/` | the check of credentials, and the login by messages |
//! | settings | `settings.rs` | the settings in force, which a reload replaces |
//! | handshake | `handshake/` | the decision on a request, as a pure function |
//! | routes | `route.rs` | which service runs at which path, and who may use it |
//! | services | `service/` | the echo and the room |
//! | session | `session/`, `metrics.rs` | the gate, messages in and out, keepalive; counters |
//! | WebSocket | `websocket/` | frames and messages of one connection |
//! | registry | `registry/`, `admission/`, `log/` | open connections; bounds for each address; log and audit |
//! | access | `access/` | users, guests, policies, origins and grants, as plain data |
//! | ground | `process/`, `peer/`, `tls/`, `page/`, `limits.rs`, `message.rs` | plain types, and the process |

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
