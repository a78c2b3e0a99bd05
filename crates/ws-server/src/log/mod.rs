//! The log: its format, the queue before its output, and the lines of the audit.

pub(crate) mod audit;
mod format;
mod log;
mod queue;
#[cfg(test)]
mod record;

pub use self::format::LogFormat;
#[cfg(test)]
pub(crate) use self::record::{Record, logged};
pub(crate) use self::{log::Log, queue::LostLines};
