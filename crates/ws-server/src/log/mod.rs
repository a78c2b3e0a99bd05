//! The log: its filter and format, the queue before stderr, and the audit lines.

pub(crate) mod audit;
mod format;
mod log;
mod queue;
#[cfg(test)]
mod record;
mod throttle;

pub(crate) use self::format::LogDestination;
pub use self::format::LogFormat;
#[cfg(test)]
pub(crate) use self::record::{Record, logged};
pub(crate) use self::{
    log::Log,
    queue::LostLines,
    throttle::{Throttle, more},
};
