//! A WebSocket server that requires a login.
//!
//! The server answers opening handshakes, authenticates each connection by Basic credentials, a ticket
//! or its first messages, and passes it to the service of its path. The session ends when the login is
//! revoked or either side closes. Besides the handshake, it serves one page for browsers, a
//! description of each path, tickets, `POST` to a room, and the admin interface. Users come from one
//! credentials file.
//!
//! Start reading with `server/connection.rs`, where one function takes a connection through all its
//! stages, then `session/`. Each stage has a type: `AcceptedConnection` (`server/accepted.rs`),
//! `WebSocket` (`websocket/`), `Authenticated` (made only by `session/admit.rs`) and `Session`
//! (`session/session.rs`), which a service in `service/` runs.
//!
//! # Layers
//!
//! A file imports only its own layer and those below it. A connection passes the layers from bottom
//! to top.
//!
//! | layer | modules | holds |
//! |---|---|---|
//! | command line | `cli/` | arguments and exit codes; `ctl`, `hash-password` and `new-secret` |
//! | operator | `admin/` | the admin interface over HTTP |
//! | reload | `reload.rs` | reload of changed files |
//! | server | `server/` | accept, TLS and HTTP, the stages of a connection, drain |
//! | configuration | `config/` | the configuration, validated before a port is bound |
//! | login | `auth/` | verification of credentials, and the login by messages |
//! | settings | `settings.rs` | the settings in force, replaced by a reload |
//! | handshake | `handshake/` | the decision on a request, as a pure function |
//! | routes | `route.rs` | which service runs at which path, and who may use it |
//! | services | `service/` | the echo, the room, and the services with a backend |
//! | session | `session/`, `metrics.rs` | admission, messages in and out, keepalive; event counters |
//! | WebSocket | `websocket/` | frames and messages of one connection |
//! | registry | `registry/`, `admission/`, `log/` | open connections; connection limits and failure budgets; log and audit |
//! | access | `access/` | users, guests, policies, origins and grants, as plain data |
//! | basics | `process/`, `peer/`, `tls/`, `page/`, `limits.rs`, `message.rs`, `request_head.rs` | plain types, and the process |
//!
//! Files of one row may import each other, but not in a cycle.
//!
//! # Where to add
//!
//! | addition | files |
//! |---|---|
//! | a service | `service/`; `service/mod.rs` lists the steps |
//! | a configuration key | its struct in `config/`, `limits.rs` or the options of its service; `config/server.toml` and `docs/configuration.md`; `config/changes.rs` too if it is read only at the start |
//! | a close code | `proto/src/close.rs`, then `metrics.rs` (compiler error until it is complete), `page/values.js`, `docs/protocol.md` and `docs/own-client.md` |
//! | a metric | `metrics.rs` if it counts events, `server/scrape.rs` if it is read at a scrape; `docs/monitoring.md` |
//! | a refusal of the handshake | one variant and one row in `handshake/refusal.rs` |
//! | an admin request | `admin/routes.rs` and `admin/api.rs`, then `cli/ctl.rs` |
//! | an audit event | `log/audit.rs` and `docs/monitoring.md` |

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
mod request_head;
pub mod route;
pub mod server;
pub mod service;
pub mod session;
mod settings;
pub mod tls;
pub mod websocket;

pub use service::run_helper;
