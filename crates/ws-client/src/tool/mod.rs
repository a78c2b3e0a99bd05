//! `ws-client handshake URL`: one handshake, shown and judged.

mod report;
#[cfg(test)]
mod tests;
mod tool;
#[cfg(test)]
mod transcripts;

pub use self::{
    report::Report,
    tool::{Arguments, run},
};
