//! The time limit of a whole run.

use std::{future::pending, time::Duration};

use tokio::time::{Instant, sleep_until};

/// The time limit of a whole run (`--timeout`).
#[derive(Debug, Clone, Copy)]
pub(crate) struct RunLimit {
    at: Instant,
    span: Duration,
}

impl RunLimit {
    /// Returns the limit after this time.
    pub(crate) fn after(span: Duration) -> Self {
        Self {
            at: Instant::now() + span,
            span,
        }
    }
}

/// Waits until the limit is reached, and returns the time that the run had. Without a limit, waits
/// forever.
pub(super) async fn reached(limit: Option<RunLimit>) -> Duration {
    match limit {
        Some(limit) => {
            sleep_until(limit.at).await;
            limit.span
        }
        None => pending().await,
    }
}

/// Waits until this time after the limit.
pub(super) async fn passed_by(limit: Option<RunLimit>, more: Duration) {
    match limit {
        Some(limit) => sleep_until(limit.at + more).await,
        None => pending().await,
    }
}
