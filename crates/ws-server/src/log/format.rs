//! The formats of a log line.

use std::{fmt, sync::Arc};

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use tracing::{Event, Subscriber};
use tracing_subscriber::{
    Layer,
    fmt::{
        FmtContext, FormatEvent, FormatFields,
        format::{Format, Writer},
        layer,
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

impl LogFormat {
    /// Creates a layer that writes lines of this format to a queue, coloured for a terminal.
    pub(crate) fn layer<S>(
        self,
        is_coloured: bool,
        queue: Arc<LogQueue>,
    ) -> Box<dyn Layer<S> + Send + Sync>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let lines = layer().with_writer(QueueWriter(queue));
        match self {
            Self::Text => lines
                .with_ansi(is_coloured)
                .event_format(TextLine::default())
                .boxed(),
            Self::Json => lines
                .with_ansi(false)
                .json()
                .flatten_event(true)
                .with_current_span(false)
                .with_span_list(false)
                .boxed(),
        }
    }
}

/// The text format. Only audit lines show their target.
#[derive(Debug)]
struct TextLine {
    plain: Format,
    audit: Format,
}

impl Default for TextLine {
    fn default() -> Self {
        Self {
            plain: Format::default().with_target(false),
            audit: Format::default(),
        }
    }
}

impl<S, N> FormatEvent<S, N> for TextLine
where
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
