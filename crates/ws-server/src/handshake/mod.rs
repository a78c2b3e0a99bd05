//! The opening handshake of the server (RFC 6455 section 4.2).

mod decision;
mod description;
mod policy;
mod refusal;
#[cfg(test)]
mod tests;
mod ticket;

pub(crate) use self::ticket::{
    TICKET_PATH, TicketReply, TicketRequest, decide_ticket, is_ticket_request,
};
pub use self::{
    decision::{Decision, Upgrade, decide},
    description::{MessageKind, RouteDescription, RouteLogin},
    policy::{BasicAuthMode, HandshakePolicy},
    refusal::Refusal,
};
