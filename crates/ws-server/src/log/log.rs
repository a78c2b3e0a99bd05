//! How the server speaks: lines on stderr that never make it wait.

use std::{
    env,
    io::{self, IsTerminal as _, Write, stderr},
    panic,
    sync::Arc,
    time::Duration,
};

use tracing::error;
use tracing_subscriber::{
    EnvFilter, Registry,
    filter::{Directive, LevelFilter},
    layer::SubscriberExt as _,
    registry,
    reload::{self, Handle},
    util::SubscriberInitExt as _,
};

use crate::log::{
    LogFormat, LostLines, audit,
    queue::{self, LogQueue},
};

/// How long the end of the process waits for what is still to be written: a pipe that nobody reads
/// does not hold it up for longer.
const END_DEADLINE: Duration = Duration::from_secs(1);

/// The variable that goes before the level of the configuration.
const VARIABLE: &str = "RUST_LOG";

/// The log of the process. Lines are written by a thread of their own; what still waits is written
/// when it is dropped.
#[derive(Debug)]
pub(crate) struct Log {
    queue: Arc<LogQueue>,
    filter: Handle<EnvFilter, Registry>,
    /// What `RUST_LOG` says. It is read once, as its mistakes are spoken of where it is read, and
    /// that is not worth to wait for a pipe that nobody reads.
    directives: String,
}

impl Log {
    /// Sends the log to stderr, as detailed as `RUST_LOG` says; without that variable, as this
    /// level.
    ///
    /// Only what is written for `tracing` is shown. The WebSocket library writes for another
    /// facade, and whole messages at that, with passwords in them: that facade stays unconnected.
    pub(crate) fn start(level: LevelFilter, format: LogFormat) -> Self {
        let queue = queue::start(BareStderr);
        let directives = env::var(VARIABLE).unwrap_or_default();
        let (filter, handle) = reload::Layer::new(filter(level, &directives));
        let lines = format.layer(stderr().is_terminal(), Arc::clone(&queue));
        if registry().with(filter).with(lines).try_init().is_err() {
            // Somebody in this process logs already; so shall we.
        }
        panic::set_hook(Box::new(|info| {
            // The payload may quote what a peer sent; the place is enough to find the fault.
            let location = info.location().map(ToString::to_string).unwrap_or_default();
            error!(location, "a task panicked");
        }));
        Self {
            queue,
            filter: handle,
            directives,
        }
    }

    /// Changes how detailed the log is, unless `RUST_LOG` says that.
    pub(crate) fn set_level(&self, level: LevelFilter) {
        if self.directives.is_empty() {
            // The filter is gone only if the log never became the one of the process.
            let _ = self.filter.reload(filter(level, ""));
        }
    }

    /// How many lines were lost so far.
    pub(crate) fn lost_lines(&self) -> LostLines {
        self.queue.lost_lines()
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.queue.end(END_DEADLINE);
    }
}

/// What is shown where the variable says this, and at this level where it says nothing. The lines of
/// the audit are shown at any level, as they are few and nobody finds out later what they would have
/// said; but not where the whole log is off, or the variable speaks of them.
fn filter(level: LevelFilter, directives: &str) -> EnvFilter {
    let filter = EnvFilter::builder()
        .with_default_directive(level.into())
        .parse_lossy(directives);
    let mut said = directives.split(',').map(str::trim);
    let is_off = if directives.is_empty() {
        level == LevelFilter::OFF
    } else {
        said.clone().any(|it| it.eq_ignore_ascii_case("off"))
    };
    let is_about_audit = said.any(|it| it.split(['=', '[']).next() == Some(audit::TARGET));
    if is_off || is_about_audit {
        filter
    } else {
        filter.add_directive(audit_at_info())
    }
}

fn audit_at_info() -> Directive {
    let directive = format!("{}=info", audit::TARGET);
    directive.parse().expect("it is a directive")
}

/// Stderr without the lock of the process on it, which one who waits for its reader would hold.
#[derive(Debug)]
struct BareStderr;

impl Write for BareStderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(rustix::io::write(rustix::stdio::stderr(), bytes)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tracing::{debug, info, warn};
    use tracing_subscriber::{filter::LevelFilter, layer::SubscriberExt as _, registry};

    use super::{LogFormat, LogQueue, filter};

    /// Which of three lines are shown.
    fn shown(level: LevelFilter, directives: &str) -> Vec<&'static str> {
        let queue = Arc::new(LogQueue::new());
        let lines = LogFormat::Text.layer(false, Arc::clone(&queue));
        let subscriber = registry().with(filter(level, directives)).with(lines);
        tracing::subscriber::with_default(subscriber, || {
            info!(target: "audit", "first");
            debug!("second");
            warn!("third");
        });
        let text = queue.waiting_text();
        let mut lines = vec!["first", "second", "third"];
        lines.retain(|line| text.contains(line));
        lines
    }

    #[test]
    fn the_audit_is_shown_at_every_level_but_off() {
        for (level, directives, expected) in [
            (LevelFilter::INFO, "", &["first", "third"][..]),
            (LevelFilter::WARN, "", &["first", "third"]),
            (LevelFilter::ERROR, "", &["first"]),
            (LevelFilter::OFF, "", &[]),
            (LevelFilter::OFF, "error", &["first"]),
            (LevelFilter::OFF, "debug", &["first", "second", "third"]),
            (LevelFilter::INFO, "off", &[]),
            (LevelFilter::INFO, "hyper=debug, OFF", &[]),
            (LevelFilter::INFO, "warn,audit=off", &["third"]),
            (LevelFilter::INFO, "off,audit=info", &["first"]),
            (LevelFilter::INFO, "auditor=off,warn", &["first", "third"]),
        ] {
            assert_eq!(shown(level, directives), expected, "{level} {directives}");
        }
    }
}
