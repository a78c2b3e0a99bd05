//! The configuration of a session: flags override the file, which overrides the defaults.

mod auth;
mod config;
mod error;
mod file;
mod flags;
mod goal;
mod header_fields;
mod linger;
mod login;
mod password_command;
mod ping;
mod secret_file;
#[cfg(test)]
mod tests;

pub use self::{
    auth::Auth,
    config::Config,
    error::ConfigError,
    flags::{Cleartext, Flags, PasswordSource},
    goal::Goal,
    linger::Linger,
    login::LoginSource,
    password_command::{PasswordCommand, PasswordCommandError},
    ping::{PingInterval, PingTimes},
    secret_file::{SecretFile, SecretFileError},
};
pub(crate) use self::{
    config::{CONNECT_DEADLINE, check_fields},
    header_fields::header_fields,
};
