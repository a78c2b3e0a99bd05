//! The process and its surroundings: file descriptors, signals, the service manager and its journal,
//! and turns of CPU work on the worker threads.

pub(crate) mod descriptors;
pub(crate) mod journal;
pub(crate) mod signals;
pub(crate) mod systemd;
pub(crate) mod turn;
