//! The formats of a log line.

use std::{fmt, sync::Arc};

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::{
    Layer,
    fmt::{
        FmtContext, FormatEvent, FormatFields,
        format::{Format, Full, Writer},
        layer,
        time::FormatTime,
    },
    registry::LookupSpan,
};

use crate::log::{
    audit,
    queue::{LogQueue, QueueWriter},
};

/// The format of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Text: a time, a level, a message and its fields
    #[default]
    Text,
    /// A JSON object
    Json,
}

/// The destination of the log, by which lines differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogDestination {
    /// A terminal that shows colour. Lines of text are coloured.
    Terminal,
    /// The journal of systemd. Lines begin with their priority, and lines of text have no time: the
    /// journal has both.
    Journal,
    /// A file, a pipe, or a terminal without colour.
    File,
}

impl LogFormat {
    /// Creates a layer that writes lines of this format to a queue.
    pub(crate) fn layer<S>(
        self,
        destination: LogDestination,
        queue: Arc<LogQueue>,
    ) -> Box<dyn Layer<S> + Send + Sync>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let lines = layer().with_writer(QueueWriter(queue));
        let is_coloured = self == Self::Text && destination == LogDestination::Terminal;
        let lines = lines.with_ansi(is_coloured);
        let is_for_journal = destination == LogDestination::Journal;
        match self {
            Self::Text if is_for_journal => {
                let format = TextLine::new(Format::default().without_time());
                lines.event_format(JournalLine(format)).boxed()
            }
            Self::Text => lines.event_format(TextLine::new(Format::default())).boxed(),
            Self::Json => {
                let lines = lines
                    .json()
                    .flatten_event(true)
                    .with_current_span(false)
                    .with_span_list(false);
                if is_for_journal {
                    lines.map_event_format(JournalLine).boxed()
                } else {
                    lines.boxed()
                }
            }
        }
    }
}

/// A line that begins with its priority (`sd-daemon(3)`), such as `<6>`. journald removes it.
///
/// tracing-journald is not used. It writes to the journal's socket from the thread that logs, past the
/// queue and its bound, and the lines lack the form that a filter of fail2ban can match.
#[derive(Debug)]
struct JournalLine<F>(F);

impl<S, N, F> FormatEvent<S, N> for JournalLine<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let priority = match *event.metadata().level() {
            Level::ERROR => 3,
            Level::WARN => 4,
            Level::INFO => 6,
            Level::DEBUG | Level::TRACE => 7,
        };
        write!(writer, "<{priority}>")?;
        self.0.format_event(context, writer, event)
    }
}

/// The text format. Only audit lines show their target.
#[derive(Debug)]
struct TextLine<T> {
    plain: Format<Full, T>,
    audit: Format<Full, T>,
}

impl<T: Clone> TextLine<T> {
    fn new(format: Format<Full, T>) -> Self {
        Self {
            plain: format.clone().with_target(false),
            audit: format,
        }
    }
}

impl<S, N, T> FormatEvent<S, N> for TextLine<T>
where
    T: FormatTime,
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let format = if event.metadata().target() == audit::TARGET {
            &self.audit
        } else {
            &self.plain
        };
        format.format_event(context, writer, event)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tracing::{debug, error, info, trace, warn};
    use tracing_subscriber::{layer::SubscriberExt as _, registry};

    use super::{LogDestination, LogFormat};
    use crate::log::queue::LogQueue;

    fn lines(format: LogFormat) -> String {
        let queue = Arc::new(LogQueue::new());
        let layer = format.layer(LogDestination::Journal, Arc::clone(&queue));
        tracing::subscriber::with_default(registry().with(layer), || {
            error!("one");
            warn!("two");
            info!(target: "audit", event = "x", "three");
            debug!("four");
            trace!("five");
        });
        queue.pending_text()
    }

    /// The journal has a time and a priority of its own.
    #[test]
    fn journal_line_has_priority_and_no_time() {
        assert_eq!(
            lines(LogFormat::Text),
            "<3>ERROR one\n<4> WARN two\n<6> INFO audit: three event=\"x\"\n<7>DEBUG four\n\
             <7>TRACE five\n"
        );
        let json = lines(LogFormat::Json);
        let starts: Vec<_> = json.lines().map(|line| &line[..4]).collect();
        assert_eq!(starts, ["<3>{", "<4>{", "<6>{", "<7>{", "<7>{"]);
    }
}
