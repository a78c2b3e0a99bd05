//! The progress of a session's writes, as other tasks see it.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::time::Instant;

/// The progress of a session's writes. It is recorded only while a write is blocked, so it costs
/// nothing while the peer reads. The first blocked write allocates it: most sessions never have one.
#[derive(Debug, Default)]
pub(crate) struct WriteProgress(OnceLock<Box<Mutex<Progress>>>);

/// The progress at one moment.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Progress {
    /// The start of the blocked write, if the socket is blocked.
    pub(crate) blocked_since: Option<ProgressMark>,
    /// The number of bytes of the connection that were written when a write was last blocked.
    pub(crate) written: u64,
}

/// A moment, and the number of bytes written by then.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ProgressMark {
    /// The moment.
    pub(crate) at: Instant,
    /// The number of bytes.
    pub(crate) written: u64,
}

impl WriteProgress {
    /// Records that a write is blocked after `written` bytes of the connection.
    pub(crate) fn on_blocked(&self, written: u64) {
        let mut progress = lock(self.0.get_or_init(Box::default));
        progress.written = written;
        progress.blocked_since.get_or_insert_with(|| ProgressMark {
            at: Instant::now(),
            written,
        });
    }

    /// Records that everything was written.
    pub(crate) fn on_flushed(&self) {
        if let Some(progress) = self.0.get() {
            lock(progress).blocked_since = None;
        }
    }

    /// Returns the progress of this moment.
    pub(crate) fn load(&self) -> Progress {
        self.0
            .get()
            .map_or_else(Progress::default, |progress| *lock(progress))
    }
}

fn lock(progress: &Mutex<Progress>) -> MutexGuard<'_, Progress> {
    // A panic while the lock was held cannot have left a value half written.
    progress.lock().unwrap_or_else(PoisonError::into_inner)
}
