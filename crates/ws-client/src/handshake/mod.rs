//! The opening handshake as plain data: what is asked, and whether the answer is right.
//!
//! It does no I/O, and both the connections and the `handshake` tool are built on it: what the tool
//! shows is what every connection is judged by.

pub mod challenge;
pub mod received;
pub mod refusal;
pub mod report;
pub mod request;
pub mod response;
pub mod retry;
pub mod verdict;

#[cfg(test)]
mod transcripts;
