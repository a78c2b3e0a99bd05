//! A login in front of live WebSocket connections.
//!
//! The server answers opening handshakes, logs each connection in by the handshake or by its first
//! messages, and hands it to the service of its path, until the login is revoked or either side ends.
//! Of HTTP it serves the handshake, one page, `POST` to a room and the operator's interface. Users come
//! from one credentials file.
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
//! | session | `session/`, `metrics.rs` | the gate, messages in and out, keepalive; counters of events |
//! | WebSocket | `websocket/` | frames and messages of one connection |
//! | registry | `registry/`, `admission/`, `log/` | open connections; bounds for each address; log and audit |
//! | access | `access/` | users, guests, policies, origins and grants, as plain data |
//! | ground | `process/`, `peer/`, `tls/`, `page/`, `limits.rs`, `message.rs` | plain types, and the process |
//!
//! A row may hold folders that do not need each other.
//!
//! # Where to add
//!
//! | what | where |
//! |---|---|
//! | a service | `service/`, whose first page has the steps |
//! | a configuration key | its table in `config/`, `config/server.toml` and the README; `config/changes.rs` too if it is read only at the start |
//! | a close code | `proto/src/close.rs`, then `metrics.rs`, where the compiler asks for it, and `page/values.js` |
//! | a metric | `metrics.rs` if it counts events, `server/scrape.rs` if it is read at a scrape |
//! | a refusal of the handshake | one row in `handshake/refusal.rs` |
//! | a request of operators | `admin/routes.rs` and `admin/api.rs`, then `cli/ctl.rs` |
//! | an audit event | `log/audit.rs` |

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
