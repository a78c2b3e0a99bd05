//! The registry of open connections: lookup, ending, traffic counts, push queues and held bytes.

mod budget;
mod connections;
mod counters;
mod holding;
mod outbox;
mod progress;
mod queue;

pub use self::{
    budget::BufferBudget,
    counters::TrafficCounts,
    outbox::{Outbox, PushOutcome},
    queue::{DropCounts, OutboxPolicy, OverflowPolicy},
};
pub(crate) use self::{
    budget::{BudgetStats, EvictionCause},
    connections::{ConnectionEntry, ConnectionRegistry, Registration},
    holding::{BackendBytes, FREE_BYTES, HeldBytes},
    queue::Pushed,
};
