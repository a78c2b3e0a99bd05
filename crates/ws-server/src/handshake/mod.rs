//! The opening handshake (RFC 6455 section 4.2): what a request is answered with.

mod decision;
mod refusal;
#[cfg(test)]
mod tests;

pub use self::{
    decision::{BasicAuthMode, Decision, HandshakePolicy, Upgrade, decide},
    refusal::Refusal,
};
