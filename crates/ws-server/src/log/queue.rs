//! The lines that wait to be written, and the thread that writes them.
//!
//! Whoever has a line leaves it here and goes on. What there is no room for, and what cannot be
//! written, is lost and counted; a line says so as soon as lines can be written again.

use std::{
    io::{self, Write},
    mem,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread::{self, ThreadId},
    time::Duration,
};

use crate::log::audit;

/// How long the lines may be together that wait: what the end of thousands of sessions at once says.
/// As much again may be about to be written.
const MAX_WAITING_BYTES: usize = 1 << 20;

/// How much memory is kept for lines when there are none.
const RETAINED_BYTES: usize = 16 * 1024;

/// How long the writing thread rests after it wrote. A line that comes meanwhile waits for others to
/// be written with: to be woken for each one would cost more than the lines.
const BATCH_DELAY: Duration = Duration::from_millis(5);

/// The lines of a log that wait to be written.
#[derive(Debug)]
pub(crate) struct LogQueue {
    waiting: Mutex<Waiting>,
    /// Tells the writing thread that there is something to do.
    filled: Condvar,
    /// Tells whoever ends the log that all is written.
    emptied: Condvar,
    lost: LostLines,
    /// The thread that writes, and says how many lines were lost.
    writer: OnceLock<ThreadId>,
}

#[derive(Debug, Default)]
struct Waiting {
    lines: Lines,
    /// The writing thread has nothing to do, and has to be woken.
    is_idle: bool,
    /// The log is to end when all is written.
    is_ending: bool,
    /// All is written.
    has_ended: bool,
}

/// Some lines.
#[derive(Debug, Default)]
struct Lines {
    bytes: Vec<u8>,
    /// Where each of them ends.
    ends: Vec<usize>,
    /// Which of them says how many lines were lost.
    about_losses: Option<usize>,
}

/// How many lines were lost so far: there was no room for them, or they could not be written.
#[derive(Debug, Clone, Default)]
pub(crate) struct LostLines(Arc<AtomicU64>);

impl LostLines {
    /// How many they are.
    pub(crate) fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn add(&self, lines: usize) {
        self.0.fetch_add(lines as u64, Ordering::Relaxed);
    }
}

/// A queue, and a thread that writes what comes to it.
pub(crate) fn start(out: impl Write + Send + 'static) -> Arc<LogQueue> {
    let queue = Arc::new(LogQueue::new());
    let writer = Writer::new(Arc::clone(&queue), out);
    let thread = thread::Builder::new().name("log".to_owned());
    // Without the thread all lines are lost, and counted.
    let _ = thread.spawn(move || writer.run());
    queue
}

impl LogQueue {
    /// A queue with nothing in it, and nobody who writes.
    pub(crate) fn new() -> Self {
        Self {
            waiting: Mutex::default(),
            filled: Condvar::new(),
            emptied: Condvar::new(),
            lost: LostLines::default(),
            writer: OnceLock::new(),
        }
    }

    /// How many lines were lost so far.
    pub(crate) fn lost_lines(&self) -> LostLines {
        self.lost.clone()
    }

    /// Leaves a line to be written, if there is room for it.
    fn push(&self, line: &[u8]) {
        let mut waiting = self.waiting();
        let is_full = waiting.lines.bytes.len() + line.len() > MAX_WAITING_BYTES;
        let is_about_losses = self.writer.get() == Some(&thread::current().id());
        if is_about_losses {
            // There is always room for it: it stands for those that there is no room for.
            waiting.lines.about_losses = Some(waiting.lines.ends.len());
        } else if is_full {
            self.lost.add(1);
            return;
        }
        waiting.lines.push(line);
        if mem::take(&mut waiting.is_idle) {
            self.filled.notify_one();
        }
    }

    /// Has what waits be written, and waits for it as long as this at most.
    pub(crate) fn end(&self, deadline: Duration) {
        let mut waiting = self.waiting();
        waiting.is_ending = true;
        self.filled.notify_one();
        let ended = self
            .emptied
            .wait_timeout_while(waiting, deadline, |waiting| !waiting.has_ended);
        drop(ended);
    }

    /// Waits for lines, and takes them all. There are none if the log has ended.
    fn take(&self, lines: &mut Lines) {
        lines.clear();
        let mut waiting = self.waiting();
        while waiting.lines.ends.is_empty() && !waiting.is_ending {
            waiting.is_idle = true;
            let filled = self.filled.wait(waiting);
            waiting = filled.unwrap_or_else(PoisonError::into_inner);
        }
        mem::swap(&mut waiting.lines, lines);
        if lines.ends.is_empty() {
            waiting.has_ended = true;
            self.emptied.notify_all();
        }
    }

    /// Lets lines gather, unless the log is to end.
    fn rest(&self) {
        let rest = self
            .filled
            .wait_timeout_while(self.waiting(), BATCH_DELAY, |waiting| !waiting.is_ending);
        drop(rest);
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // A panic while the lock was held cannot have left half a line.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What waits.
    #[cfg(test)]
    pub(crate) fn waiting_text(&self) -> String {
        String::from_utf8(self.waiting().lines.bytes.clone()).expect("lines are text")
    }
}

impl Lines {
    fn push(&mut self, line: &[u8]) {
        self.bytes.extend_from_slice(line);
        self.ends.push(self.bytes.len());
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(RETAINED_BYTES);
        self.ends.clear();
        self.ends.shrink_to(RETAINED_BYTES / 64);
        self.about_losses = None;
    }
}

impl Write for &LogQueue {
    /// Takes a line. Whoever formats them writes each of them at once, as a whole.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What the writing thread does.
#[derive(Debug)]
struct Writer<W> {
    queue: Arc<LogQueue>,
    out: W,
    /// How many lost lines were spoken of.
    told: u64,
    /// How many those are that a line speaks of which is not written yet.
    telling: u64,
    /// A line was written in part, and is not to be mistaken for the beginning of the next one.
    is_torn: bool,
}

impl<W: Write> Writer<W> {
    fn new(queue: Arc<LogQueue>, out: W) -> Self {
        Self {
            queue,
            out,
            told: 0,
            telling: 0,
            is_torn: false,
        }
    }

    /// Writes until the log ends.
    fn run(mut self) {
        let _ = self.queue.writer.set(thread::current().id());
        let mut lines = Lines::default();
        loop {
            self.queue.take(&mut lines);
            if lines.ends.is_empty() {
                return;
            }
            if self.write(&lines) {
                self.tell_losses();
            }
            self.queue.rest();
        }
    }

    /// Writes some lines, and counts those that were not written. Returns whether all were.
    fn write(&mut self, lines: &Lines) -> bool {
        if self.is_torn && self.write_bytes(b"\n") == 0 {
            self.lose(lines, 0);
            return false;
        }
        let bytes = self.write_bytes(&lines.bytes);
        let written = lines.ends.partition_point(|end| *end <= bytes);
        self.is_torn = bytes > 0 && lines.ends.get(written.wrapping_sub(1)) != Some(&bytes);
        if lines.about_losses.is_some_and(|index| index < written) {
            self.told = self.telling;
        }
        if written < lines.ends.len() {
            self.lose(lines, written);
            return false;
        }
        true
    }

    /// Counts the lines from one on as lost. The one about losses is not missed: there will be
    /// another one.
    fn lose(&self, lines: &Lines, from: usize) {
        let about_losses = lines.about_losses.is_some_and(|index| index >= from);
        let lost = lines.ends.len() - from - usize::from(about_losses);
        self.queue.lost.add(lost);
    }

    /// Writes as much as can be written, and returns how much that was.
    fn write_bytes(&mut self, bytes: &[u8]) -> usize {
        let mut written = 0;
        while written < bytes.len() {
            match self.out.write(&bytes[written..]) {
                Ok(0) => break,
                Ok(more) => written += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Somebody else who has it, too, wants not to wait for it. This thread may.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    thread::park_timeout(BATCH_DELAY);
                }
                Err(_) => break,
            }
        }
        written
    }

    /// Says how many lines were lost since it was last said. What is lost now is lost before what
    /// comes next, and behind all that waits: that is where the line goes.
    fn tell_losses(&mut self) {
        let lost = self.queue.lost.count();
        if lost == self.told {
            return;
        }
        self.telling = lost;
        audit::lines_lost(lost - self.told);
        if self.queue.waiting().lines.about_losses.is_none() {
            // It is not shown.
            self.told = lost;
        }
    }
}

#[cfg(test)]
#[path = "tests/queue.rs"]
mod tests;
