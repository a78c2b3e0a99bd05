//! Written lines, lost lines, and the reports of lost lines.

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

use super::{LineClass, LogQueue, MAX_PENDING_BYTES, PIECE_BYTES, Writer, start};
use crate::log::{LogDestination, LogFormat};

/// Longer than any step takes.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A writer that accepts one write for each permission.
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

/// A queue with a gated writer.
struct Setup {
    queue: Arc<LogQueue>,
    /// Permits a write.
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
        let lines = LogFormat::Text.layer(LogDestination::File, Arc::clone(&queue));
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
        self.queue.push(LineClass::Other, line.as_bytes());
    }

    /// Waits until the writing thread has taken all lines and waits for a permission.
    fn wait_until_taken(&self) {
        wait(|| self.queue.pending().is_empty());
    }

    /// Waits for this number of writes.
    fn wait_for_writes(&self, writes: usize) {
        wait(|| self.writes.load(Ordering::Relaxed) == writes);
    }

    /// Permits all writes, ends the log, and returns the written lines without their times.
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

/// Waits for a condition.
#[track_caller]
fn wait(condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < TIMEOUT, "the condition was never true");
        thread::yield_now();
    }
}

fn lost(lines: u64) -> String {
    format!(
        "log lines lost: stderr was not read in time, or writing to it failed event=lines_lost \
         lines={lines}"
    )
}

#[test]
fn end_writes_all_lines_in_order() {
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
fn full_queue_drops_and_reports_lines() {
    let setup = Setup::new();
    setup.push("first\n");
    setup.wait_until_taken();
    let long = format!("{}\n", "x".repeat(MAX_PENDING_BYTES / 4 - 1));
    for _ in 0..4 {
        setup.push(&long);
    }
    let count = setup.queue.lost_lines();
    assert_eq!(count.count(), 0);
    for _ in 0..7 {
        setup.push("no room\n");
    }
    assert_eq!(count.count(), 7);
    // ConnectionPermit one write: the first line.
    setup.allow.send(Ok(usize::MAX)).unwrap();
    setup.wait_until_taken();
    setup.push("last\n");
    let long = long.trim_end();
    assert_eq!(
        setup.end(),
        ["first", long, long, long, long, &lost(7), "last"]
    );
    assert_eq!(count.count(), 7);
}

/// A flood of lines about guests displaced more than half of the lines about failed logins.
#[test]
fn audit_lines_overtake_full_queue() {
    let setup = Setup::new();
    setup.push("first\n");
    setup.wait_until_taken();
    let audit = |line: &str| setup.queue.push(LineClass::Audit, line.as_bytes());
    audit("audit 1\n");
    let piece = "x".repeat(PIECE_BYTES / 2 - 1);
    let count = setup.queue.lost_lines();
    while count.count() == 0 {
        setup.push(&format!("{piece}\n"));
    }
    audit("audit 2\n");
    // The first line, then a piece of the flood, and the audit lines behind it.
    for _ in 0..3 {
        setup.allow.send(Ok(usize::MAX)).unwrap();
    }
    setup.wait_for_writes(3);
    audit("audit 3\n");
    let queue = Arc::clone(&setup.queue);
    let lines = setup.end();
    assert_eq!(queue.lost_lines().count(), 1);
    let position = |line: &str| lines.iter().position(|it| it == line).unwrap();
    assert_eq!([position("first"), position("audit 1")], [0, 1]);
    // The first piece has the line of the audit and one of the flood.
    assert_eq!(position("audit 2"), 3);
    assert!(position("audit 3") <= 6, "{}", position("audit 3"));
    assert_eq!(lines.last().unwrap(), &lost(1));
}

#[test]
fn lines_in_order_without_pressure() {
    let setup = Setup::new();
    setup.push("first\n");
    setup.wait_until_taken();
    let mut expected = vec!["first".to_owned()];
    for index in 0..100 {
        let class = [LineClass::Audit, LineClass::Other][index % 2];
        let line = format!("line {index}");
        setup.queue.push(class, format!("{line}\n").as_bytes());
        expected.push(line);
    }
    assert_eq!(setup.end(), expected);
}

#[test]
fn failed_writes_counted_and_reported_once() {
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
    // The first write of the report fails. The report is not counted as lost.
    setup.allow.send(Err(full())).unwrap();
    setup.wait_for_writes(4);
    setup.push("written, too\n");
    assert_eq!(setup.end(), ["written", "written, too", &lost(2)]);
    assert_eq!(count.count(), 2);
}

#[test]
fn partial_line_ended_before_next_line() {
    let setup = Setup::new();
    let count = setup.queue.lost_lines();
    setup.push("first\n");
    setup.wait_until_taken();
    setup.push("second\n");
    setup.push("third\n");
    setup.allow.send(Ok(usize::MAX)).unwrap();
    // The second line, and a part of the third.
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
fn would_block_and_interrupted_retried() {
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
fn end_returns_at_deadline_when_blocked() {
    let (_never, never) = mpsc::channel();
    let queue = start(Gated {
        allowed: never,
        writes: Arc::default(),
        written: Arc::default(),
    });
    queue.push(LineClass::Other, b"a line\n");
    let start = Instant::now();
    queue.end(Duration::from_millis(50));
    assert!(start.elapsed() < TIMEOUT);
}
