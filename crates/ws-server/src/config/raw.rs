//! The configuration as its file writes it. A key that is left out has its default.

use std::path::PathBuf;

use proto::config::{Count, Limit, Size, TimeSpan};
use serde::Deserialize;

use super::route::RawRoute;

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawConfig {
    pub(super) listen: Option<String>,
    pub(super) credentials: Option<PathBuf>,
    pub(super) allow_insecure: Option<bool>,
    pub(super) allowed_origins: Vec<String>,
    pub(super) subprotocols: Vec<String>,
    pub(super) trusted_proxies: Vec<String>,
    pub(super) forwarded_field: Option<String>,
    pub(super) page: Option<bool>,
    pub(super) log_level: Option<String>,
    pub(super) log_format: Option<String>,
    pub(super) worker_threads: Option<Count>,
    pub(super) tls: RawTls,
    pub(super) admin: RawAdmin,
    pub(super) login: RawLogin,
    pub(super) limits: RawLimits,
    pub(super) echo: RawEcho,
    pub(super) route: Vec<RawRoute>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawTls {
    pub(super) certificate: Option<PathBuf>,
    pub(super) private_key: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawAdmin {
    pub(super) listen: Option<OneOrMany>,
}

/// A text, or a list of them.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "a text or a list of texts")]
pub(super) enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    /// All of them.
    pub(super) fn as_slice(&self) -> &[String] {
        match self {
            Self::One(text) => std::slice::from_ref(text),
            Self::Many(texts) => texts,
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawLogin {
    pub(super) deadline: Option<TimeSpan>,
    pub(super) max_attempts: Option<Count>,
    pub(super) basic: Option<String>,
    pub(super) max_failures_per_address: Option<Limit<Count>>,
    pub(super) failure_forgiven_after: Option<TimeSpan>,
    pub(super) hash_workers: Option<Count>,
    pub(super) max_waiting_logins: Option<Count>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawLimits {
    pub(super) handshake_deadline: Option<TimeSpan>,
    pub(super) ping_interval: Option<Limit<TimeSpan>>,
    pub(super) ping_timeout: Option<TimeSpan>,
    pub(super) idle_timeout: Option<Limit<TimeSpan>>,
    pub(super) write_deadline: Option<TimeSpan>,
    pub(super) close_deadline: Option<TimeSpan>,
    pub(super) drain_deadline: Option<TimeSpan>,
    pub(super) max_message_bytes: Option<Size>,
    pub(super) max_control_frames_per_second: Option<Limit<Count>>,
    pub(super) max_connections: Option<Count>,
    pub(super) max_unauthenticated: Option<Count>,
    pub(super) max_unauthenticated_per_address: Option<Limit<Count>>,
    pub(super) max_connections_per_address: Option<Limit<Count>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawEcho {
    pub(super) prefix: Option<String>,
}
