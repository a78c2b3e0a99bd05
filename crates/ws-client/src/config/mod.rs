//! The configuration of a session: flags override the file, which overrides the defaults.

mod config;
mod error;
mod file;
mod flags;
mod goal;
mod header_fields;
mod login;
mod secret_file;
#[cfg(test)]
mod tests;

pub use self::{
    config::Config,
    error::ConfigError,
    flags::{Auth, Cleartext, Flags},
    goal::Goal,
    login::LoginSource,
    secret_file::SecretFile,
};
pub(crate) use self::{
    config::{CONNECT_DEADLINE, check_fields},
    header_fields::header_fields,
};
