//! The opening handshake of the server (RFC 6455 section 4.2).

mod decision;
mod refusal;
#[cfg(test)]
mod tests;

pub use self::{
    decision::{BasicAuthMode, Decision, HandshakePolicy, Upgrade, decide},
    refusal::Refusal,
};
