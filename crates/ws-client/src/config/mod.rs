//! The configuration of a session: flags over file over defaults, checked in one place.

mod config;
#[cfg(test)]
mod tests;

pub(crate) use self::config::CONNECT_DEADLINE;
pub use self::config::{Auth, Cleartext, Config, ConfigError, Flags, LoginSource};
