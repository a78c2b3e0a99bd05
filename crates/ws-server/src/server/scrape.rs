//! The metrics whose values are read at each scrape.

use std::{fmt, time::SystemTime};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, NoLabelSet},
    metrics::{MetricType, exemplar::Exemplar},
};

use crate::{
    admission::ConnectionStats,
    auth::HashingStats,
    metrics::timestamp,
    registry::{BudgetStats, EvictionCause, TrafficCounts},
    service::{ProgramStats, RoomStats},
};

/// The values read at one scrape: the current state, and counters kept elsewhere.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ScrapeSnapshot {
    /// The connections.
    pub(crate) connections: ConnectionStats,
    /// The messages and bytes of all sessions.
    pub(crate) traffic: TrafficCounts,
    /// The state of the hashing pool.
    pub(crate) hashing: HashingStats,
    /// The bytes that are held for peers.
    pub(crate) buffers: BudgetStats,
    /// The rooms and their members.
    pub(crate) rooms: RoomStats,
    /// The programs of sessions.
    pub(crate) programs: ProgramStats,
    /// The number of lost log lines.
    pub(crate) lost_lines: u64,
    /// The expiry time of the certificate, if TLS is on.
    pub(crate) certificate_expiry: Option<SystemTime>,
}

/// The values of a metric.
enum Values {
    /// A gauge.
    Gauge(i64),
    /// A gauge for each state.
    GaugeByState(Vec<(&'static str, usize)>),
    /// A counter.
    Counter(u64),
    /// A counter for each value of a label.
    CounterBy(&'static str, Vec<(&'static str, u64)>),
}

impl Values {
    fn gauge(number: usize) -> Self {
        Self::Gauge(as_i64(number))
    }

    fn by_direction(incoming: u64, outgoing: u64) -> Self {
        Self::CounterBy("direction", vec![("in", incoming), ("out", outgoing)])
    }
}

impl ScrapeSnapshot {
    /// Returns the name, help text and values of each metric.
    fn metrics(self) -> Vec<(&'static str, &'static str, Values)> {
        let Self {
            connections,
            traffic,
            hashing,
            buffers,
            rooms,
            programs,
            lost_lines,
            certificate_expiry,
        } = self;
        let mut metrics = vec![
            (
                "connections",
                "Open connections, by state",
                Values::GaugeByState(vec![
                    ("unauthenticated", connections.unauthenticated),
                    ("guest", connections.guests),
                    ("user", connections.users),
                    ("rejected", connections.rejected),
                ]),
            ),
            (
                "connections_limit",
                "Maximum number of open connections, not counting rejected ones",
                Values::gauge(connections.limit),
            ),
            (
                "connections_dropped",
                "Connections dropped without a response because too many were being rejected",
                Values::Counter(connections.dropped),
            ),
            (
                "hashing_workers",
                "Password-hashing workers, by state",
                Values::GaugeByState(vec![
                    ("busy", hashing.busy),
                    ("free", hashing.workers.saturating_sub(hashing.busy)),
                ]),
            ),
            (
                "hashing_queue",
                "Logins waiting for a password-hashing worker",
                Values::gauge(hashing.waiting),
            ),
            (
                "messages",
                "Messages received and sent by all sessions, by direction",
                Values::by_direction(traffic.messages_in, traffic.messages_out),
            ),
            (
                "message_bytes",
                "Payload bytes of these messages, by direction",
                Values::by_direction(traffic.bytes_in, traffic.bytes_out),
            ),
            (
                "rooms",
                "Rooms with at least one member",
                Values::gauge(rooms.topics),
            ),
            (
                "room_members",
                "Memberships of sessions in rooms",
                Values::gauge(rooms.subscriptions),
            ),
            (
                "room_evictions",
                "Members disconnected because they read too slowly",
                Values::Counter(rooms.drops.evicted),
            ),
            (
                "room_messages_dropped",
                "Room messages dropped for members that read too slowly",
                Values::Counter(rooms.drops.dropped),
            ),
            (
                "log_lines_lost",
                "Log lines lost because stderr was not read in time or writing failed",
                Values::Counter(lost_lines),
            ),
        ];
        metrics.extend(buffer_metrics(buffers));
        metrics.extend(program_metrics(programs));
        metrics.extend(certificate_expiry.map(|expiry| {
            (
                "certificate_expiry_timestamp_seconds",
                "Expiry time of the certificate since the Unix epoch",
                Values::Gauge(timestamp(expiry)),
            )
        }));
        metrics
    }
}

/// Returns the metrics of the bytes that are held for peers.
fn buffer_metrics(buffers: BudgetStats) -> [(&'static str, &'static str, Values); 2] {
    [
        (
            "buffered_bytes",
            "Bytes held for peers, as they count for max_buffered_bytes",
            Values::gauge(buffers.held),
        ),
        (
            "buffer_evictions",
            "Connections ended because too many bytes were held for peers, by cause",
            Values::CounterBy(
                "cause",
                EvictionCause::ALL
                    .map(EvictionCause::name)
                    .into_iter()
                    .zip(buffers.evictions)
                    .collect(),
            ),
        ),
    ]
}

/// Returns the metrics of programs.
fn program_metrics(programs: ProgramStats) -> [(&'static str, &'static str, Values); 3] {
    [
        (
            "programs",
            "Programs of sessions that run",
            Values::gauge(programs.running),
        ),
        (
            "program_exits",
            "Programs that ended before their session, by result",
            Values::CounterBy(
                "result",
                vec![
                    ("ok", programs.success),
                    ("failed", programs.failure),
                    ("signal", programs.signal),
                ],
            ),
        ),
        (
            "program_stderr_lines_dropped",
            "Lines of programs on stderr that were not logged because there were too many",
            Values::Counter(programs.stderr_lines_dropped),
        ),
    ]
}

impl Collector for ScrapeSnapshot {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        for (name, help, values) in self.metrics() {
            let kind = match values {
                Values::Gauge(_) | Values::GaugeByState(_) => MetricType::Gauge,
                Values::Counter(_) | Values::CounterBy(..) => MetricType::Counter,
            };
            // `Registry::register` appends a full stop to help texts, too.
            let help = format!("{help}.");
            let mut metric = encoder.encode_descriptor(name, &help, None, kind)?;
            let no_exemplar = None::<&Exemplar<NoLabelSet, u64>>;
            match values {
                Values::Gauge(value) => metric.encode_gauge(&value)?,
                Values::GaugeByState(values) => {
                    for (state, value) in values {
                        let labels = [("state", state)];
                        let mut metric = metric.encode_family(&labels)?;
                        metric.encode_gauge(&as_i64(value))?;
                    }
                }
                Values::Counter(value) => metric.encode_counter(&value, no_exemplar)?,
                Values::CounterBy(label, values) => {
                    for (name, value) in values {
                        let labels = [(label, name)];
                        let mut metric = metric.encode_family(&labels)?;
                        metric.encode_counter(&value, no_exemplar)?;
                    }
                }
            }
        }
        Ok(())
    }
}

fn as_i64(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
