//! The command `ws-client handshake URL`: one opening handshake, shown and checked.

mod lesson;
mod report;
#[cfg(test)]
mod tests;
mod tool;
#[cfg(test)]
mod transcripts;

pub use self::{
    report::HandshakeReport,
    tool::{HandshakeArguments, run},
};
