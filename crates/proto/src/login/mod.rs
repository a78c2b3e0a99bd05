//! Both halves of the login, as state machines without I/O.
//!
//! A half is asked what to do [`next`](ServerLogin::next), does nothing itself, and is told what
//! came of it. Whoever drives it does the waiting and the sending, and cannot log in any other way:
//! only [`ServerAction::LoggedIn`] yields an identity. Time is the span since the login began, so
//! that tests need no clock.

mod attempt;
mod client;
mod server;

pub use attempt::{Attempt, LoginMessage, LoginVerdict};
pub use client::{ClientAction, ClientLogin, WhenRefused};
pub use server::{LoginPolicy, ServerAction, ServerLogin};

#[cfg(test)]
mod tests;
