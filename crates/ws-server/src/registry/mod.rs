//! The registry of open connections: lookup, ending, traffic counts and push queues.

mod connections;
mod counters;
mod outbox;
mod progress;
mod queue;

pub(crate) use self::{
    connections::{ConnectionEntry, ConnectionRegistry, Registration},
    queue::Pushed,
};
pub use self::{
    counters::TrafficCounts,
    outbox::{Outbox, PushOutcome},
    queue::{DropCounts, OutboxPolicy, OverflowPolicy},
};
