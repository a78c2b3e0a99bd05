//! The process and its surroundings: file descriptors, signals and the service manager.

pub(crate) mod descriptors;
pub(crate) mod signals;
pub(crate) mod systemd;
