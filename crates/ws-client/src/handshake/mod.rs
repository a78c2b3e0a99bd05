//! The opening handshake as plain data: what is asked, and whether the answer is right.
//!
//! It does no I/O, and both the connections and the `handshake` tool are built on it: what the tool
//! shows is what every connection is judged by.

mod challenge;
mod error;
mod raw_response;
mod request;
mod response;
mod response_part;
mod retry_after;
#[cfg(test)]
mod tests;
mod verdict;

pub use self::{
    error::HandshakeError,
    raw_response::{MAX_BODY_BYTES, RawResponse, ReadError, excerpt},
    request::{Origin, Request},
    response::{Head, MAX_HEAD_BYTES, final_head},
    response_part::ResponsePart,
    verdict::{Outcome, Verdict},
};
