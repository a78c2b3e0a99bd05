//! The merging of flags, file and defaults, and the errors.

mod file;
mod fixtures;
mod header_fields;
mod login;
mod merging;
mod trust;
