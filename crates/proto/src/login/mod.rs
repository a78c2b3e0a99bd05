//! Both sides of the login, as state machines without I/O.
//!
//! [`ServerLogin::next`] returns the next action. The caller performs it, does all I/O and waiting,
//! and reports the result. Only [`ServerAction::LoggedIn`] yields an identity. Time is a duration
//! since the start of the login, so the tests need no clock.

mod attempt;
mod client;
mod server;

pub use attempt::{Attempt, LoginMessage, LoginVerdict};
pub use client::{ClientAction, ClientLogin, WhenRefused};
pub use server::{LoginPolicy, ServerAction, ServerLogin};

#[cfg(test)]
mod tests;
