//! What a session needs to know: flags over file over defaults, brought together in one place.

mod config;
#[cfg(test)]
mod tests;

pub(crate) use self::config::CONNECT_DEADLINE;
pub use self::config::{Auth, Cleartext, Config, ConfigError, Flags, LoginSource};
