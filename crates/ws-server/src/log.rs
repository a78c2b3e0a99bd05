//! How the server speaks: lines on stderr that never make it wait.

use std::{
    io::{self, BufWriter, IsTerminal as _, Stderr, Write, stderr},
    panic, thread,
    time::Duration,
};

use tokio::time::interval;
use tracing::{error, warn};
use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::{
    EnvFilter, Registry,
    filter::LevelFilter,
    fmt,
    layer::SubscriberExt as _,
    registry,
    reload::{self, Handle},
    util::SubscriberInitExt as _,
};

/// How many lines may wait to be written before more of them are dropped.
const BUFFERED_LINES: usize = 2048;

/// How long the writing thread rests after it wrote. A line that comes meanwhile waits for others to
/// be written with: to be woken for each one would cost more than the lines.
const REST: Duration = Duration::from_millis(5);

/// How often it is looked whether lines were dropped.
const LOSS_INTERVAL: Duration = Duration::from_secs(10);

/// The log of the process. Lines are written by a thread of their own; what still waits is written
/// when it is dropped.
#[derive(Debug)]
pub(crate) struct Log {
    dropped: ErrorCounter,
    filter: Handle<EnvFilter, Registry>,
    _writer: WorkerGuard,
}

impl Log {
    /// Sends the log to stderr, as detailed as `RUST_LOG` says; without that variable, as this
    /// level.
    ///
    /// Only what is written for `tracing` is shown. The WebSocket library writes for another
    /// facade, and whole messages at that, with passwords in them: that facade stays unconnected.
    pub(crate) fn start(level: LevelFilter) -> Self {
        let (writer, guard) = NonBlockingBuilder::default()
            .buffered_lines_limit(BUFFERED_LINES)
            .lossy(true)
            .thread_name("log")
            .finish(Restful(BufWriter::new(stderr())));
        let dropped = writer.error_counter();
        let (filter, handle) = reload::Layer::new(filter(level));
        let lines = fmt::layer()
            .with_ansi(stderr().is_terminal())
            .with_target(false)
            .with_writer(writer);
        if registry().with(filter).with(lines).try_init().is_err() {
            // Somebody in this process logs already; so shall we.
        }
        panic::set_hook(Box::new(|info| {
            // The payload may quote what a peer sent; the place is enough to find the fault.
            let location = info.location().map(ToString::to_string).unwrap_or_default();
            error!(location, "a task panicked");
        }));
        Self {
            dropped,
            filter: handle,
            _writer: guard,
        }
    }

    /// Changes how detailed the log is, unless `RUST_LOG` says that.
    pub(crate) fn set_level(&self, level: LevelFilter) {
        // The filter is gone only if the log never became the one of the process.
        let _ = self.filter.reload(filter(level));
    }

    /// Says now and then how many lines were dropped because nobody read them. It never ends.
    pub(crate) async fn report_losses(&self) {
        let mut ticks = interval(LOSS_INTERVAL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut reported = 0;
        loop {
            ticks.tick().await;
            let dropped = self.dropped.dropped_lines();
            if dropped > reported {
                warn!(
                    lines = dropped - reported,
                    "log lines were dropped: stderr is not read"
                );
                reported = dropped;
            }
        }
    }
}

fn filter(level: LevelFilter) -> EnvFilter {
    EnvFilter::builder()
        .with_default_directive(level.into())
        .from_env_lossy()
}

/// Writes what was collected when it is flushed, which the writing thread does whenever no line
/// waits, and rests then.
#[derive(Debug)]
struct Restful(BufWriter<Stderr>);

impl Write for Restful {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()?;
        thread::park_timeout(REST);
        Ok(())
    }
}
