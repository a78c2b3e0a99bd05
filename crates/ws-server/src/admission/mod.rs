//! Limits for each address: open connections, and failed logins.

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
