//! The connections that are open: how they are found, told to end, counted and pushed to.

mod connections;
mod counters;
mod outbox;

pub(crate) use self::{
    connections::{Live, LiveConnections, Member, Registration},
    outbox::Pushed,
};
pub use self::{
    counters::Counts,
    outbox::{Losses, Outbox, OutboxPolicy, WhenFull},
};
