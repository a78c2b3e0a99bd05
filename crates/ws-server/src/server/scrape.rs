//! The metrics that are read at each scrape.

use std::{fmt, time::SystemTime};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, NoLabelSet},
    metrics::{MetricType, exemplar::Exemplar},
};

use crate::{
    admission::ConnectionStats, auth::HashingStats, metrics::timestamp, registry::TrafficCounts,
    service::RoomStats,
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
    /// The rooms and their members.
    pub(crate) rooms: RoomStats,
    /// The number of lost log lines.
    pub(crate) lost_lines: u64,
    /// When the certificate expires, if the server has one.
    pub(crate) certificate_expiry: Option<SystemTime>,
}

/// What a metric says.
enum Values {
    /// One number, which may become less.
    Gauge(i64),
    /// One number for each state.
    GaugeByState(Vec<(&'static str, usize)>),
    /// One number, which never becomes less.
    Counter(u64),
    /// One such number for each direction.
    CounterByDirection { incoming: u64, outgoing: u64 },
}

impl Values {
    fn gauge(number: usize) -> Self {
        Self::Gauge(as_i64(number))
    }
}

impl ScrapeSnapshot {
    /// Each metric: its name, what it is, and what it says.
    fn metrics(self) -> Vec<(&'static str, &'static str, Values)> {
        let Self {
            connections,
            traffic,
            hashing,
            rooms,
            lost_lines,
            certificate_expiry,
        } = self;
        let mut metrics = vec![
            (
                "connections",
                "Connections that are open, by state",
                Values::GaugeByState(vec![
                    ("unauthenticated", connections.unauthenticated),
                    ("guest", connections.guests),
                    ("user", connections.users),
                    ("rejected", connections.rejected),
                ]),
            ),
            (
                "connections_limit",
                "How many connections there may be, turned away ones aside",
                Values::gauge(connections.limit),
            ),
            (
                "connections_dropped",
                "Connections that were ended unanswered, because too many were being turned away",
                Values::Counter(connections.dropped),
            ),
            (
                "hashing_workers",
                "Those who hash passwords, by state",
                Values::GaugeByState(vec![
                    ("busy", hashing.busy),
                    ("free", hashing.workers.saturating_sub(hashing.busy)),
                ]),
            ),
            (
                "hashing_queue",
                "Logins that wait for a password to be hashed",
                Values::gauge(hashing.waiting),
            ),
            (
                "messages",
                "Messages of all sessions, by direction",
                Values::CounterByDirection {
                    incoming: traffic.messages_in,
                    outgoing: traffic.messages_out,
                },
            ),
            (
                "message_bytes",
                "Payload of these messages, by direction",
                Values::CounterByDirection {
                    incoming: traffic.bytes_in,
                    outgoing: traffic.bytes_out,
                },
            ),
            (
                "rooms",
                "Rooms that somebody is in",
                Values::gauge(rooms.topics),
            ),
            (
                "room_members",
                "Sessions that are in a room",
                Values::gauge(rooms.subscriptions),
            ),
            (
                "room_evictions",
                "Members that were sent away because they read too slowly",
                Values::Counter(rooms.drops.evicted),
            ),
            (
                "room_messages_dropped",
                "Texts that members have missed because they read too slowly",
                Values::Counter(rooms.drops.dropped),
            ),
            (
                "log_lines_lost",
                "Lines of the log that nobody read in time, or that could not be written",
                Values::Counter(lost_lines),
            ),
        ];
        metrics.extend(certificate_expiry.map(|expiry| {
            (
                "certificate_expiry_timestamp_seconds",
                "When the certificate expires, since the epoch",
                Values::Gauge(timestamp(expiry)),
            )
        }));
        metrics
    }
}

impl Collector for ScrapeSnapshot {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        for (name, help, values) in self.metrics() {
            let kind = match values {
                Values::Gauge(_) | Values::GaugeByState(_) => MetricType::Gauge,
                Values::Counter(_) | Values::CounterByDirection { .. } => MetricType::Counter,
            };
            // The library puts a full stop behind what is registered with it, too.
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
                Values::CounterByDirection { incoming, outgoing } => {
                    for (direction, value) in [("in", incoming), ("out", outgoing)] {
                        let labels = [("direction", direction)];
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
