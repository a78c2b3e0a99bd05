//! A session with a server: login, messages, closing handshake, report.

mod client;
mod closing;
mod drain;
mod limit;
mod outcome;
mod replies;
mod report;
mod session;
#[cfg(test)]
mod tests;

pub(crate) use self::{client::Client, session::Timeouts};
