//! The operator's view of a running server, and the operator's hand on it: a second HTTP interface,
//! which nobody reaches who is not on this machine.
//!
//! On each of its addresses, health and metrics may be read. Who is connected is told, and something
//! is changed, on a Unix socket only, which belongs to the user that runs the server. What comes
//! back is described in `api`; `ctl` is the client.
//!
//! | request | answer |
//! |---|---|
//! | `GET /livez` | 200 for as long as the process serves |
//! | `GET /readyz` | 200, or 503 while it is draining |
//! | `GET /metrics` | what Prometheus scrapes |
//! | `GET /sessions` | `api::Sessions` |
//! | `POST /kick` | takes `api::Kick`, answers `api::Kicked` |
//! | `POST /revoke` | takes `api::Revoke`, answers `api::UserRevoked` |
//! | `POST /reload` | `api::ReloadOutcome` |
//! | `POST /drain` | `api::Draining` |
//! | `POST /publish` | takes `api::Publish`, answers it |

mod admin;
pub(crate) mod api;
mod listener;
mod routes;

pub(crate) use self::{admin::Admin, routes::AdminHandler};
