//! The opening handshake as plain data: the request and the checks of the response (RFC 6455
//! section 4.1).
//!
//! The module does no I/O. Sessions and the command `ws-client handshake` share it, so the command
//! shows exactly the checks of a session.

mod bearer;
mod challenge;
mod error;
mod header_field;
mod raw_response;
mod request;
mod response;
mod response_part;
mod retry_after;
mod subprotocol;
#[cfg(test)]
mod tests;
mod verdict;

pub use self::{
    bearer::{BearerToken, BearerTokenError},
    error::HandshakeError,
    header_field::{FieldSource, HeaderField, HeaderFieldError, HeaderFields},
    raw_response::{MAX_BODY_BYTES, RawResponse, ReadError, excerpt},
    request::{Origin, Request},
    response::{Head, MAX_HEAD_BYTES, StatusLine, final_head},
    response_part::ResponsePart,
    subprotocol::{Subprotocol, SubprotocolError, Subprotocols},
    verdict::{CheckOutcome, Verdict},
};
