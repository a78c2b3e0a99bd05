//! The configuration, complete and checked before anything is bound.
//!
//! [`Config`] and the tables in it are read from the file, printed by `--check-config`, and compared at
//! a reload (`changes`, which lists the keys that are read only at the start). Only the routes have a
//! form of their own, which is built from their tables.

mod admin;
mod changes;
mod config;
mod error;
mod exposure;
mod files;
mod login;
mod revocations_file;
mod route;
mod source;
mod ticket_secret_file;
mod tls;
mod upstream_files;
mod values;

pub use self::{
    admin::{AdminAddress, AdminTable},
    config::Config,
    error::{ConfigError, ExposedError, Problem},
    files::load_accounts,
    login::LoginTable,
    source::{ConfigSource, DEFAULT_PATH, LoadedConfig},
    tls::TlsFiles,
    values::{Network, StringList, StringValue},
};
pub(crate) use self::{
    changes::{changed_at_start, changed_live},
    exposure::{have_development_account, is_exposed},
    files::{FileReader, READ_DEADLINE, ReadTimeout, read_at_start},
    login::TICKET_SECRET_FILE,
    revocations_file::{RevocationsFile, SaveError},
    source::{WatchedFiles, undefined_route_user},
};
/// The types of public fields of [`Config`].
pub use crate::{admission::BudgetPolicy, auth::HashingPolicy, log::LogFormat};

#[cfg(test)]
mod tests;
