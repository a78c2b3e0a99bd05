//! The queue of log lines, and the thread that writes them.
//!
//! Logging appends a line to the queue and never blocks. A line is lost if the queue is full or
//! writing fails. Lost lines are counted, and a line in their place reports the number.
//!
//! Audit lines have a queue of their own once others are waiting, and are written before those. So a
//! flood of other lines, which a client can cause, does not displace them. Without pressure, lines are
//! written in the order of their events.
//!
//! tracing-appender is not used. Its non-blocking writer counts no line whose write failed, bounds the
//! number of queued lines but not their bytes, and may print to stdout when it ends.

use std::{
    io::{self, Write},
    mem,
    ops::Range,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread::{self, ThreadId},
    time::Duration,
};

use tracing::Metadata;
use tracing_subscriber::fmt::MakeWriter;

use crate::log::audit;

/// The capacity of the queue in bytes: enough for the simultaneous end of thousands of sessions. The
/// writing thread may hold as much again.
const MAX_PENDING_BYTES: usize = 1 << 20;

/// The bytes of lines that may wait before audit lines overtake them, and the length of a write: the
/// capacity of a pipe.
const PIECE_BYTES: usize = 64 * 1024;

/// The memory that an empty queue keeps, in bytes.
const RETAINED_BYTES: usize = 16 * 1024;

/// The pause of the writing thread after each write, in which lines accumulate. A wake-up for each
/// line would cost more than writing it.
const BATCH_DELAY: Duration = Duration::from_millis(5);

/// The queue of log lines.
#[derive(Debug)]
pub(crate) struct LogQueue {
    pending: Mutex<Pending>,
    /// Signals the writing thread: lines are pending, or the log ends.
    filled: Condvar,
    /// Signals [`LogQueue::end`]: all lines are written.
    drained: Condvar,
    lost: LostLines,
    /// The writing thread. Its own lines are the reports of lost lines.
    writer: OnceLock<ThreadId>,
}

#[derive(Debug, Default)]
struct Pending {
    lines: Lines,
    /// Audit lines that overtake the other lines. Their capacity is [`MAX_PENDING_BYTES`] as well.
    audit: Lines,
    /// The length of the lines that the writing thread has taken.
    taken_bytes: usize,
    /// The writing thread waits, and must be woken.
    is_idle: bool,
    /// The log ends once all lines are written.
    is_ending: bool,
    /// All lines are written.
    has_ended: bool,
}

/// A class of lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LineClass {
    /// A line of the target `audit`.
    Audit,
    /// Any other line.
    Other,
}

/// A batch of lines.
#[derive(Debug, Default)]
struct Lines {
    bytes: Vec<u8>,
    /// The end offset of each line.
    ends: Vec<usize>,
    /// The index of the line that reports lost lines.
    loss_report: Option<usize>,
}

/// A shared counter of lost lines.
#[derive(Debug, Clone, Default)]
pub(crate) struct LostLines(Arc<AtomicU64>);

impl LostLines {
    /// Returns the number of lines lost since the start.
    pub(crate) fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn add(&self, lines: usize) {
        self.0.fetch_add(lines as u64, Ordering::Relaxed);
    }
}

/// Creates a queue, and starts the thread that writes its lines to `out`.
pub(crate) fn start(out: impl Write + Send + 'static) -> Arc<LogQueue> {
    let queue = Arc::new(LogQueue::new());
    let writer = Writer::new(Arc::clone(&queue), out);
    let thread = thread::Builder::new().name("log".to_owned());
    // If the thread cannot start, the queue fills up, and further lines are counted as lost.
    let _ = thread.spawn(move || writer.run());
    queue
}

impl LogQueue {
    /// Creates an empty queue without a writing thread.
    pub(crate) fn new() -> Self {
        Self {
            pending: Mutex::default(),
            filled: Condvar::new(),
            drained: Condvar::new(),
            lost: LostLines::default(),
            writer: OnceLock::new(),
        }
    }

    /// Returns the counter of lost lines.
    pub(crate) fn lost_lines(&self) -> LostLines {
        self.lost.clone()
    }

    /// Appends a line, or counts it as lost if the queue is full.
    fn push(&self, class: LineClass, line: &[u8]) {
        let mut pending = self.pending();
        let waiting = pending.lines.bytes.len();
        let overtakes = pending.taken_bytes > PIECE_BYTES || waiting + line.len() > PIECE_BYTES;
        let is_loss_report = self.writer.get() == Some(&thread::current().id());
        let queue = if is_loss_report {
            // Accepted beyond the capacity. There is at most one in the queue.
            pending.lines.loss_report = Some(pending.lines.ends.len());
            &mut pending.lines
        } else {
            let queue = match class {
                LineClass::Audit if overtakes => &mut pending.audit,
                LineClass::Audit | LineClass::Other => &mut pending.lines,
            };
            if queue.bytes.len() + line.len() > MAX_PENDING_BYTES {
                self.lost.add(1);
                return;
            }
            queue
        };
        queue.push(line);
        if mem::take(&mut pending.is_idle) {
            self.filled.notify_one();
        }
    }

    /// Ends the log: waits until all pending lines are written, or until the deadline.
    pub(crate) fn end(&self, deadline: Duration) {
        let mut pending = self.pending();
        pending.is_ending = true;
        self.filled.notify_one();
        let ended = self
            .drained
            .wait_timeout_while(pending, deadline, |pending| !pending.has_ended);
        drop(ended);
    }

    /// Waits for lines, and takes all. Returns false once the log has ended.
    ///
    /// Audit lines that overtake more than a piece are left for [`LogQueue::take_audit`]: the first
    /// piece may have older ones.
    fn take(&self, lines: &mut Lines, audit: &mut Lines) -> bool {
        lines.clear();
        audit.clear();
        let mut pending = self.pending();
        pending.taken_bytes = 0;
        while pending.is_empty() && !pending.is_ending {
            pending.is_idle = true;
            let filled = self.filled.wait(pending);
            pending = filled.unwrap_or_else(PoisonError::into_inner);
        }
        if pending.is_empty() {
            pending.has_ended = true;
            self.drained.notify_all();
            return false;
        }
        mem::swap(&mut pending.lines, lines);
        pending.taken_bytes = lines.bytes.len();
        if !lines.is_long() {
            mem::swap(&mut pending.audit, audit);
        }
        true
    }

    /// Takes the audit lines that overtake the lines in progress.
    fn take_audit(&self, audit: &mut Lines) {
        audit.clear();
        mem::swap(&mut self.pending().audit, audit);
    }

    /// Pauses for [`BATCH_DELAY`], or until the log ends.
    fn wait_for_batch(&self) {
        let waited = self
            .filled
            .wait_timeout_while(self.pending(), BATCH_DELAY, |pending| !pending.is_ending);
        drop(waited);
    }

    fn pending(&self) -> MutexGuard<'_, Pending> {
        // A panic while the lock was held cannot have left half a line.
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the pending lines.
    #[cfg(test)]
    pub(crate) fn pending_text(&self) -> String {
        let pending = self.pending();
        let bytes = [&*pending.lines.bytes, &*pending.audit.bytes].concat();
        String::from_utf8(bytes).expect("lines are text")
    }
}

impl Pending {
    fn is_empty(&self) -> bool {
        self.lines.ends.is_empty() && self.audit.ends.is_empty()
    }
}

impl Lines {
    /// Returns true if there is more than a piece.
    fn is_long(&self) -> bool {
        self.bytes.len() > PIECE_BYTES
    }

    /// Returns the end of the piece that begins with the line `from`: at most [`PIECE_BYTES`], or one
    /// longer line.
    fn piece_end(&self, from: usize) -> usize {
        let end = self.offset(from) + PIECE_BYTES;
        let lines = self.ends.partition_point(|line| *line <= end);
        lines.max(from + 1)
    }

    /// Returns the offset of the first byte of a line.
    fn offset(&self, line: usize) -> usize {
        line.checked_sub(1).map_or(0, |before| self.ends[before])
    }

    fn push(&mut self, line: &[u8]) {
        self.bytes.extend_from_slice(line);
        self.ends.push(self.bytes.len());
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(RETAINED_BYTES);
        self.ends.clear();
        self.ends.shrink_to(RETAINED_BYTES / 64);
        self.loss_report = None;
    }
}

/// The entrance to the queue for lines of one class.
#[derive(Debug)]
pub(crate) struct LineWriter<'a> {
    queue: &'a LogQueue,
    class: LineClass,
}

/// The queue as a destination of `tracing-subscriber`.
#[derive(Debug)]
pub(crate) struct QueueWriter(pub(crate) Arc<LogQueue>);

impl<'a> MakeWriter<'a> for QueueWriter {
    type Writer = LineWriter<'a>;

    fn make_writer(&'a self) -> LineWriter<'a> {
        LineWriter {
            queue: &self.0,
            class: LineClass::Other,
        }
    }

    fn make_writer_for(&'a self, event: &Metadata<'_>) -> LineWriter<'a> {
        let class = if event.target() == audit::TARGET {
            LineClass::Audit
        } else {
            LineClass::Other
        };
        LineWriter {
            queue: &self.0,
            class,
        }
    }
}

impl Write for LineWriter<'_> {
    /// Appends a line. `tracing-subscriber` writes each formatted line with one call.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.queue.push(self.class, line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The writing thread.
#[derive(Debug)]
struct Writer<W> {
    queue: Arc<LogQueue>,
    out: W,
    /// The number of lost lines that were reported.
    reported: u64,
    /// The number of lost lines once the queued report is written.
    reporting: u64,
    /// The last line was written in part. A line feed must come before the next line.
    has_partial_line: bool,
}

impl<W: Write> Writer<W> {
    fn new(queue: Arc<LogQueue>, out: W) -> Self {
        Self {
            queue,
            out,
            reported: 0,
            reporting: 0,
            has_partial_line: false,
        }
    }

    /// Writes lines until the log ends.
    fn run(mut self) {
        let _ = self.queue.writer.set(thread::current().id());
        let (mut lines, mut audit) = (Lines::default(), Lines::default());
        while self.queue.take(&mut lines, &mut audit) {
            if self.write_batch(&lines, &mut audit) {
                self.report_losses();
            }
            self.queue.wait_for_batch();
        }
    }

    /// Writes lines piece by piece, and after each piece the audit lines that overtake the rest. Returns
    /// true if all were written.
    fn write_batch(&mut self, lines: &Lines, audit: &mut Lines) -> bool {
        let (mut next, count) = (0, lines.ends.len());
        loop {
            let end = if next < count {
                lines.piece_end(next)
            } else {
                count
            };
            let is_written = self.write(lines, next..end);
            if lines.is_long() {
                self.queue.take_audit(audit);
            }
            let is_audit_written = self.write(audit, 0..audit.ends.len());
            if !is_written || !is_audit_written {
                self.count_lost(lines, end..count);
                return false;
            }
            next = end;
            if next == count {
                return true;
            }
        }
    }

    /// Writes a range of lines, and counts those that were not written as lost. Returns true if all
    /// were written.
    fn write(&mut self, lines: &Lines, range: Range<usize>) -> bool {
        if range.is_empty() {
            return true;
        }
        if self.has_partial_line && self.write_bytes(b"\n") == 0 {
            self.count_lost(lines, range);
            return false;
        }
        let (start, end) = (lines.offset(range.start), lines.offset(range.end));
        let bytes = start + self.write_bytes(&lines.bytes[start..end]);
        let written = lines.ends.partition_point(|end| *end <= bytes);
        self.has_partial_line = bytes > start && lines.offset(written) != bytes;
        let report = lines.loss_report;
        if report.is_some_and(|index| range.contains(&index) && index < written) {
            self.reported = self.reporting;
        }
        if written < range.end {
            self.count_lost(lines, written..range.end);
            return false;
        }
        true
    }

    /// Counts a range of lines as lost, except a report, which is repeated later.
    fn count_lost(&self, lines: &Lines, range: Range<usize>) {
        let has_loss_report = lines
            .loss_report
            .is_some_and(|index| range.contains(&index));
        self.queue
            .lost
            .add(range.len() - usize::from(has_loss_report));
    }

    /// Writes bytes up to the first error, and returns the number of written bytes.
    fn write_bytes(&mut self, bytes: &[u8]) -> usize {
        let mut written = 0;
        while written < bytes.len() {
            match self.out.write(&bytes[written..]) {
                Ok(0) => break,
                Ok(more) => written += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Another process that shares the file description has made it non-blocking.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    thread::park_timeout(BATCH_DELAY);
                }
                Err(_) => break,
            }
        }
        written
    }

    /// Queues a report of the lines lost since the last report. They were lost after all pending
    /// lines and before the next one, so the end of the queue is their place.
    fn report_losses(&mut self) {
        let lost = self.queue.lost.count();
        if lost == self.reported {
            return;
        }
        self.reporting = lost;
        audit::lines_lost(lost - self.reported);
        if self.queue.pending().lines.loss_report.is_none() {
            // The filter hides the report.
            self.reported = lost;
        }
    }
}

#[cfg(test)]
#[path = "tests/queue.rs"]
mod tests;
