//! A session with a server: login, messages, closing handshake, report.

mod client;
mod closing;
mod drain;
mod limit;
mod outcome;
mod ping_timer;
mod replies;
mod report;
mod run_limit;
mod session;
#[cfg(test)]
mod tests;

pub(crate) use self::{client::Client, run_limit::RunLimit, session::Timeouts};
