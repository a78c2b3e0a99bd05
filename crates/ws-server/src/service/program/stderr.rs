//! The lines of a program's stderr in the log: escaped, shortened, and limited in their rate.

use std::{
    mem,
    num::NonZeroUsize,
    sync::{Mutex, PoisonError},
};

use proto::escape::Escaped;
use tokio::time::Instant;
use tracing::info;

use crate::session::{ConnectionId, RateLimit};

/// The greatest length of a logged line, in bytes. The rest is dropped.
const MAX_LOGGED_BYTES: usize = 4096;

/// The number of lines a second, on average, that all programs may log together. Other lines of the log
/// must not be lost for theirs.
const LINES_PER_SECOND: NonZeroUsize = NonZeroUsize::new(100).unwrap();

/// The limit on the lines that programs log.
#[derive(Debug)]
pub(super) struct StderrLimit(Mutex<LimitState>);

#[derive(Debug)]
struct LimitState {
    rate: RateLimit,
    /// The lines suppressed since the last logged one.
    suppressed: u64,
    /// The lines suppressed since the start.
    dropped: u64,
}

impl Default for StderrLimit {
    fn default() -> Self {
        Self(Mutex::new(LimitState {
            rate: RateLimit::new(LINES_PER_SECOND),
            suppressed: 0,
            dropped: 0,
        }))
    }
}

impl StderrLimit {
    /// Returns the number of suppressed lines if a line may be logged. Otherwise the line counts as
    /// suppressed.
    fn due(&self, now: Instant) -> Option<u64> {
        // A panic while the lock was held cannot have left the state half changed.
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.rate.allows_one(now) {
            return Some(mem::take(&mut state.suppressed));
        }
        state.suppressed += 1;
        state.dropped += 1;
        None
    }

    /// Returns the number of lines suppressed since the start.
    pub(super) fn dropped(&self) -> u64 {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.dropped
    }
}

/// The stderr of one program, as lines for the log.
#[derive(Debug)]
pub(super) struct StderrLines {
    connection: ConnectionId,
    /// The start of the current line.
    line: Vec<u8>,
    /// The bytes of the current line that are not in `line`.
    cut: usize,
}

impl StderrLines {
    /// Creates the lines of the program of this connection.
    pub(super) fn new(connection: ConnectionId) -> Self {
        Self {
            connection,
            line: Vec::new(),
            cut: 0,
        }
    }

    /// Returns the bytes that are held.
    pub(super) fn held(&self) -> usize {
        self.line.capacity()
    }

    /// Logs the lines that these bytes complete.
    pub(super) fn push(&mut self, bytes: &[u8], limit: &StderrLimit) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let text = piece.strip_suffix(b"\n").unwrap_or(piece);
            let space = MAX_LOGGED_BYTES.saturating_sub(self.line.len());
            let kept = text.len().min(space);
            self.line.extend_from_slice(&text[..kept]);
            self.cut += text.len() - kept;
            if text.len() < piece.len() {
                self.log(limit);
            }
        }
    }

    /// Logs a last line without a line break.
    pub(super) fn finish(&mut self, limit: &StderrLimit) {
        if !self.line.is_empty() {
            self.log(limit);
        }
    }

    fn log(&mut self, limit: &StderrLimit) {
        let (line, cut) = (mem::take(&mut self.line), mem::take(&mut self.cut));
        let line = line.strip_suffix(b"\r").unwrap_or(&line);
        if let Some(suppressed) = limit.due(Instant::now()) {
            let more = (suppressed > 0).then_some(suppressed);
            let cut = (cut > 0).then_some(cut);
            let line = String::from_utf8_lossy(line);
            let line = Escaped(&line);
            let connection = self.connection.number();
            info!(connection, %line, cut, more, "stderr of the program");
        }
    }
}
