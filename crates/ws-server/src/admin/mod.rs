//! The admin interface: a second HTTP interface for operators, reachable only from this machine.
//!
//! Health and metrics are available on every admin address. The list of sessions, and all changes,
//! are available only on a Unix socket, which only the server's own user may open. `api` has the
//! JSON types; `ctl` is the client.
//!
//! | request | response |
//! |---|---|
//! | `GET /livez` | 200 for as long as the process serves |
//! | `GET /readyz` | 200, or 503 while it is draining |
//! | `GET /metrics` | metrics in the Prometheus text format |
//! | `GET /sessions` | `api::Sessions` |
//! | `POST /kick` | `api::Kicked`, for a body `api::Kick` |
//! | `POST /revoke` | `api::UserRevoked`, for a body `api::Revoke` |
//! | `GET /revocations` | `api::RevocationList` |
//! | `POST /allow` | the body, `api::Allow` |
//! | `POST /reload` | `api::ReloadOutcome` |
//! | `POST /drain` | `api::Draining`, for a body `api::Drain` or none |
//! | `POST /publish` | the body, `api::Publish` |
//! | `POST /purge` | `api::Purged`, for a body `api::Purge` |

mod admin;
pub(crate) mod api;
mod listener;
mod routes;
mod slots;

pub(crate) use self::{admin::Admin, routes::AdminHandler};
