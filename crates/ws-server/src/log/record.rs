//! A record of log lines, for tests.

use std::sync::Arc;

use tracing_subscriber::{layer::SubscriberExt as _, registry};

use crate::log::{LogFormat, queue::LogQueue};

/// What is logged, at any level, by those who have it as their log.
pub(crate) struct Record {
    queue: Arc<LogQueue>,
    log: tracing::Dispatch,
}

impl Record {
    pub(crate) fn new(format: LogFormat) -> Self {
        let queue = Arc::new(LogQueue::new());
        let lines = format.layer(false, Arc::clone(&queue));
        let log = registry().with(lines).into();
        Self { queue, log }
    }

    /// The log of whoever takes it as its own.
    pub(crate) fn log(&self) -> tracing::Dispatch {
        self.log.clone()
    }

    /// All that was logged so far.
    pub(crate) fn text(&self) -> String {
        self.queue.waiting_text()
    }
}

/// What is logged while this runs, at any level.
pub(crate) fn logged(format: LogFormat, work: impl FnOnce()) -> String {
    let record = Record::new(format);
    tracing::dispatcher::with_default(&record.log(), work);
    record.text()
}
