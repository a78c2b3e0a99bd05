//! The opening handshake as plain data: what is asked, and whether the answer is right.
//!
//! It does no I/O, and both the connections and the `handshake` tool are built on it: what the tool
//! shows is what every connection is judged by.

mod challenge;
mod error;
mod part;
mod received;
mod request;
mod response;
mod retry_after;
#[cfg(test)]
mod tests;
mod verdict;

pub use self::{
    error::HandshakeError,
    part::ResponsePart,
    received::{MAX_BODY_BYTES, RawResponse, ReadError, excerpt},
    request::{Origin, Request},
    response::{Head, MAX_HEAD_BYTES, final_head},
    verdict::{Outcome, Verdict},
};
