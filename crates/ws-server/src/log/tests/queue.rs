//! What is written, what is lost, and what is said of that.

use std::{
    io::{self, Write},
    str,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use tracing_subscriber::{layer::SubscriberExt as _, registry};

use super::{LogQueue, MAX_WAITING_BYTES, Writer, start};
use crate::log::LogFormat;

/// More than any of this takes.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Takes what it is allowed to, one write after the other.
struct Gated {
    allowed: mpsc::Receiver<io::Result<usize>>,
    writes: Arc<AtomicUsize>,
    written: Arc<Mutex<Vec<u8>>>,
}

impl Write for Gated {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let allowed = self.allowed.recv().unwrap_or(Ok(usize::MAX));
        self.writes.fetch_add(1, Ordering::Relaxed);
        let allowed = allowed?;
        let bytes = &bytes[..bytes.len().min(allowed)];
        self.written.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A queue that is written to a gate.
struct Setup {
    queue: Arc<LogQueue>,
    /// Lets a write through.
    allow: mpsc::Sender<io::Result<usize>>,
    writes: Arc<AtomicUsize>,
    written: Arc<Mutex<Vec<u8>>>,
}

impl Setup {
    fn new() -> Self {
        let queue = Arc::new(LogQueue::new());
        let (allow, allowed) = mpsc::channel();
        let (writes, written) = (
            Arc::<AtomicUsize>::default(),
            Arc::<Mutex<Vec<u8>>>::default(),
        );
        let gated = Gated {
            allowed,
            writes: Arc::clone(&writes),
            written: Arc::clone(&written),
        };
        let thread = Writer::new(Arc::clone(&queue), gated);
        let lines = LogFormat::Text.layer(false, Arc::clone(&queue));
        thread::spawn(|| {
            tracing::subscriber::with_default(registry().with(lines), || thread.run());
        });
        Self {
            queue,
            allow,
            writes,
            written,
        }
    }

    fn push(&self, line: &str) {
        self.queue.push(line.as_bytes());
    }

    /// Waits until nothing waits to be taken: the writing thread stands before the gate.
    fn is_taken(&self) {
        wait(|| self.queue.waiting().lines.ends.is_empty());
    }

    /// Waits until so many writes were let through.
    fn has_written(&self, writes: usize) {
        wait(|| self.writes.load(Ordering::Relaxed) == writes);
    }

    /// Opens the gate for good, and returns all that was written, with the times left out.
    fn end(self) -> Vec<String> {
        drop(self.allow);
        self.queue.end(TIMEOUT);
        let written = self.written.lock().unwrap();
        let lines = str::from_utf8(&written).unwrap().lines();
        lines
            .map(|line| match line.split_once(" audit: ") {
                Some((_, line)) => line.to_owned(),
                None => line.to_owned(),
            })
            .collect()
    }
}

/// Waits until something is so.
#[track_caller]
fn wait(is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < TIMEOUT, "it never is");
        thread::yield_now();
    }
}

fn lost(lines: u64) -> String {
    format!(
        "log lines were lost: nobody read them, or they could not be written event=lines_lost \
         lines={lines}"
    )
}

#[test]
fn all_is_written_in_order_at_the_latest_when_it_ends() {
    let setup = Setup::new();
    let lines: Vec<_> = (0..1000).map(|index| format!("line {index}")).collect();
    for line in &lines {
        setup.push(&format!("{line}\n"));
    }
    let count = setup.queue.lost_lines();
    assert_eq!(setup.end(), lines);
    assert_eq!(count.count(), 0);
}

#[test]
fn what_there_is_no_room_for_is_lost_counted_and_spoken_of_where_it_is_missing() {
    let setup = Setup::new();
    setup.push("first\n");
    setup.is_taken();
    let long = format!("{}\n", "x".repeat(MAX_WAITING_BYTES / 4 - 1));
    for _ in 0..4 {
        setup.push(&long);
    }
    let count = setup.queue.lost_lines();
    assert_eq!(count.count(), 0);
    for _ in 0..7 {
        setup.push("no room\n");
    }
    assert_eq!(count.count(), 7);
    // The first one, and no more than that.
    setup.allow.send(Ok(usize::MAX)).unwrap();
    setup.is_taken();
    setup.push("last\n");
    let long = long.trim_end();
    assert_eq!(
        setup.end(),
        ["first", long, long, long, long, &lost(7), "last"]
    );
    assert_eq!(count.count(), 7);
}

#[test]
fn what_cannot_be_written_is_lost_and_spoken_of_once_when_it_can() {
    let setup = Setup::new();
    let count = setup.queue.lost_lines();
    let full = || io::Error::from(io::ErrorKind::StorageFull);
    for expected in [1, 2] {
        setup.push("lost\n");
        setup.allow.send(Err(full())).unwrap();
        wait(|| count.count() == expected);
    }
    setup.push("written\n");
    setup.allow.send(Ok(usize::MAX)).unwrap();
    // The line about it cannot be written at first, and is not counted itself.
    setup.allow.send(Err(full())).unwrap();
    setup.has_written(4);
    setup.push("written, too\n");
    assert_eq!(setup.end(), ["written", "written, too", &lost(2)]);
    assert_eq!(count.count(), 2);
}

#[test]
fn a_line_that_was_written_in_part_is_not_continued_by_another() {
    let setup = Setup::new();
    let count = setup.queue.lost_lines();
    setup.push("first\n");
    setup.is_taken();
    setup.push("second\n");
    setup.push("third\n");
    setup.allow.send(Ok(usize::MAX)).unwrap();
    // All of the second one, and a part of the third one.
    setup.allow.send(Ok(10)).unwrap();
    setup
        .allow
        .send(Err(io::ErrorKind::StorageFull.into()))
        .unwrap();
    wait(|| count.count() == 1);
    setup.push("fourth\n");
    assert_eq!(setup.end(), ["first", "second", "thi", "fourth", &lost(1)]);
}

#[test]
fn whoever_else_wants_not_to_wait_for_it_costs_no_line() {
    let setup = Setup::new();
    let count = setup.queue.lost_lines();
    for kind in [io::ErrorKind::WouldBlock, io::ErrorKind::Interrupted] {
        setup.allow.send(Ok(3)).unwrap();
        setup.allow.send(Err(kind.into())).unwrap();
    }
    setup.push("a line\n");
    assert_eq!(setup.end(), ["a line"]);
    assert_eq!(count.count(), 0);
}

#[test]
fn nobody_waits_for_long_for_what_cannot_be_written() {
    let (_never, never) = mpsc::channel();
    let queue = start(Gated {
        allowed: never,
        writes: Arc::default(),
        written: Arc::default(),
    });
    queue.push(b"a line\n");
    let start = Instant::now();
    queue.end(Duration::from_millis(50));
    assert!(start.elapsed() < TIMEOUT);
}
