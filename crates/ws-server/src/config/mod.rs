//! The configuration, complete and checked before anything is bound.
//!
//! `tables` has a struct for each table of the file. It is read from the file, printed by
//! `--check-config`, and compared at a reload (`changes`, which lists the keys that are read only at the
//! start). [`Config`] is the resolved form, which the server uses.

mod admin;
mod changes;
mod error;
mod exposure;
mod files;
mod limits;
mod login;
mod resolved;
mod route;
mod source;
mod tables;
mod tls;
mod values;

pub use self::{
    admin::{AdminAddress, AdminAddressError},
    error::{ConfigError, ExposedError},
    files::load_accounts,
    resolved::Config,
    source::{ConfigSource, DEFAULT_PATH, LoadedConfig},
    tables::ConfigTables,
    tls::TlsFiles,
};
pub(crate) use self::{
    changes::{changed_at_start, changed_live},
    exposure::{have_development_account, is_exposed},
    source::{WatchedFiles, undefined_route_user},
};
/// The types of public fields of [`Config`].
pub use crate::{admission::BudgetPolicy, auth::HashingPolicy, log::LogFormat};

#[cfg(test)]
mod tests;
