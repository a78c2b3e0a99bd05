//! The configuration of a session: flags override the file, which overrides the defaults.

mod config;
#[cfg(test)]
mod tests;

pub(crate) use self::config::CONNECT_DEADLINE;
pub use self::config::{Auth, Cleartext, Config, ConfigError, Flags, LoginSource};
