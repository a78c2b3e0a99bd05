//! Table tests of each check of the decision.

mod description;
mod form;
mod head;
mod login;
mod page;
mod policy;
mod refusal;
