//! Limits on open connections, in total and per address, and on failed logins per address.

mod connections;
mod failure_budget;

pub use self::{
    connections::Availability,
    failure_budget::{BudgetExhausted, BudgetPolicy},
};
pub(crate) use self::{
    connections::{Admission, ConnectionPermit, ConnectionStats},
    failure_budget::FailureBudget,
};
