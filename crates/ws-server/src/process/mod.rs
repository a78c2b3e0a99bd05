//! The process and its surroundings: file descriptors, signals, the service manager and its journal.

pub(crate) mod descriptors;
pub(crate) mod journal;
pub(crate) mod signals;
pub(crate) mod systemd;
