//! Captured log lines, for tests.

use std::sync::Arc;

use tracing_subscriber::{layer::SubscriberExt as _, registry};

use crate::log::{LogDestination, LogFormat, queue::LogQueue};

/// A subscriber that captures all events, at any level.
pub(crate) struct Record {
    queue: Arc<LogQueue>,
    log: tracing::Dispatch,
}

impl Record {
    pub(crate) fn new(format: LogFormat) -> Self {
        let queue = Arc::new(LogQueue::new());
        let lines = format.layer(LogDestination::File, Arc::clone(&queue));
        let log = registry().with(lines).into();
        Self { queue, log }
    }

    /// Returns the dispatcher that captures into this record.
    pub(crate) fn log(&self) -> tracing::Dispatch {
        self.log.clone()
    }

    /// Returns all captured lines.
    pub(crate) fn text(&self) -> String {
        self.queue.pending_text()
    }
}

/// Runs `work`, and returns the lines that it logs, at any level.
pub(crate) fn logged(format: LogFormat, work: impl FnOnce()) -> String {
    let record = Record::new(format);
    tracing::dispatcher::with_default(&record.log(), work);
    record.text()
}
