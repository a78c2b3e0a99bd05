//! Table tests of each check of the decision.

mod case_request;
mod description;
mod form;
mod login;
mod page;
mod policy;
mod refusal;
