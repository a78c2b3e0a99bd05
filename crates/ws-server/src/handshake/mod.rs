//! The opening handshake of the server (RFC 6455 section 4.2).

mod decision;
mod policy;
mod refusal;
#[cfg(test)]
mod tests;

pub use self::{
    decision::{Decision, Upgrade, decide},
    policy::{BasicAuthMode, HandshakePolicy},
    refusal::Refusal,
};
