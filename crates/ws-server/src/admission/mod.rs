//! The bounds for each address: open connections, and failed logins.

mod connections;
mod failure_budget;

pub use self::{
    connections::Standing,
    failure_budget::{BudgetPolicy, Spent},
};
pub(crate) use self::{
    connections::{Admission, Census, Permit},
    failure_budget::FailureBudget,
};
