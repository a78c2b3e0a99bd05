//! The registry of open connections: lookup, ending, traffic counts and push queues.

mod connections;
mod counters;
mod outbox;
mod queue;

pub(crate) use self::{
    connections::{ConnectionEntry, ConnectionRegistry, Registration},
    queue::Pushed,
};
pub use self::{
    counters::TrafficCounts,
    outbox::Outbox,
    queue::{DropCounts, OutboxPolicy, OverflowPolicy},
};
