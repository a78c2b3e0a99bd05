//! The log on stderr, written by its own thread so that logging never blocks the server.

use std::{
    env,
    ffi::OsString,
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

use crate::{
    log::{
        LogDestination, LogFormat, LostLines, audit,
        queue::{self, LogQueue},
    },
    process::journal,
};

/// The maximum time that the exit of the process waits for pending lines, if stderr is not read.
const END_DEADLINE: Duration = Duration::from_secs(1);

/// The environment variable that overrides the configured level.
const VARIABLE: &str = "RUST_LOG";

/// The log of the process. Drop writes pending lines, within [`END_DEADLINE`].
#[derive(Debug)]
pub(crate) struct Log {
    queue: Arc<LogQueue>,
    filter: Handle<EnvFilter, Registry>,
    /// The value of `RUST_LOG`, parsed only at the start: the parser prints invalid directives to
    /// stderr directly, which may block.
    directives: String,
}

impl Log {
    /// Starts the log on stderr. `RUST_LOG` sets the level; without it, `level` does.
    ///
    /// Only `tracing` events are logged. The `log` facade stays unconnected: tungstenite writes whole
    /// messages to it, including passwords.
    pub(crate) fn start(level: LevelFilter, format: LogFormat) -> Self {
        let queue = queue::start(BareStderr);
        let directives = env::var(VARIABLE).unwrap_or_default();
        let (filter, handle) = reload::Layer::new(filter(level, &directives));
        let lines = format.layer(destination(), Arc::clone(&queue));
        if registry().with(filter).with(lines).try_init().is_err() {
            // Another subscriber is installed in this process already; events go to it.
        }
        panic::set_hook(Box::new(|info| {
            // The payload may quote a peer's input. The location is enough to find the bug.
            let location = info.location().map(ToString::to_string).unwrap_or_default();
            error!(location, "a task panicked");
        }));
        Self {
            queue,
            filter: handle,
            directives,
        }
    }

    /// Changes the level, unless `RUST_LOG` sets it.
    pub(crate) fn set_level(&self, level: LevelFilter) {
        if self.directives.is_empty() {
            // Fails only if the subscriber was never installed.
            let _ = self.filter.reload(filter(level, ""));
        }
    }

    /// Returns the counter of lost lines.
    pub(crate) fn lost_lines(&self) -> LostLines {
        self.queue.lost_lines()
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.queue.end(END_DEADLINE);
    }
}

/// Creates the filter from the directives of `RUST_LOG`, with `level` as the default. Audit lines are
/// shown at every level, unless the log is off or a directive names the target `audit`.
fn filter(level: LevelFilter, directives: &str) -> EnvFilter {
    let filter = EnvFilter::builder()
        .with_default_directive(level.into())
        .parse_lossy(directives);
    let mut parsed = directives.split(',').map(str::trim);
    let is_off = if directives.is_empty() {
        level == LevelFilter::OFF
    } else {
        parsed.clone().any(|it| it.eq_ignore_ascii_case("off"))
    };
    let is_about_audit = parsed.any(|it| it.split(['=', '[']).next() == Some(audit::TARGET));
    if is_off || is_about_audit {
        filter
    } else {
        filter.add_directive(audit_at_info())
    }
}

/// Returns the destination of stderr.
fn destination() -> LogDestination {
    if journal::is_stderr_of_journal() {
        LogDestination::Journal
    } else if stderr().is_terminal()
        && allows_colour((env::var_os("NO_COLOR"), env::var_os("TERM")))
    {
        LogDestination::Terminal
    } else {
        LogDestination::File
    }
}

/// Returns true if the environment allows colour at a terminal: `NO_COLOR` is unset or empty, and
/// `TERM` names a terminal that is not dumb.
fn allows_colour((no_color, term): (Option<OsString>, Option<OsString>)) -> bool {
    no_color.is_none_or(|value| value.is_empty())
        && term.is_some_and(|term| !term.is_empty() && term != "dumb")
}

fn audit_at_info() -> Directive {
    let directive = format!("{}=info", audit::TARGET);
    directive.parse().expect("the directive is valid")
}

/// Stderr without the lock of the standard library: a writer that blocks would hold that lock.
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

    use super::{LogDestination, LogFormat, LogQueue, allows_colour, filter};

    #[test]
    fn no_color_or_dumb_terminal_means_plain() {
        for (no_color, term, coloured) in [
            (None, Some("xterm"), true),
            (Some(""), Some("xterm"), true),
            (Some("1"), Some("xterm"), false),
            (None, Some("dumb"), false),
            (None, Some(""), false),
            (None, None, false),
        ] {
            let variables = (no_color.map(Into::into), term.map(Into::into));
            assert_eq!(allows_colour(variables), coloured, "{no_color:?} {term:?}");
        }
    }

    /// Returns the lines of three that are shown.
    fn shown(level: LevelFilter, directives: &str) -> Vec<&'static str> {
        let queue = Arc::new(LogQueue::new());
        let lines = LogFormat::Text.layer(LogDestination::File, Arc::clone(&queue));
        let subscriber = registry().with(filter(level, directives)).with(lines);
        tracing::subscriber::with_default(subscriber, || {
            info!(target: "audit", "first");
            debug!("second");
            warn!("third");
        });
        let text = queue.pending_text();
        let mut lines = vec!["first", "second", "third"];
        lines.retain(|line| text.contains(line));
        lines
    }

    #[test]
    fn audit_shown_at_every_level_except_off() {
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
