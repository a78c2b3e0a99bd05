//! A session with a server: log in, unless that is done or not wanted, talk, part.

mod client;
mod closing;
mod outcome;
mod replies;
mod report;
mod session;
#[cfg(test)]
mod tests;

pub(crate) use self::{client::Client, session::Timeouts};
