//! The connections that are open: how they are found, told to end, counted and pushed to.

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
