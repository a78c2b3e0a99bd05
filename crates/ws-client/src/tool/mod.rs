//! `ws-client handshake URL`: one handshake, shown and judged.

mod report;
mod tool;
#[cfg(test)]
mod transcripts;

pub use self::{
    report::{MAX_BODY_BYTES, Report, excerpt},
    tool::{Arguments, run},
};
