//! How both programs read TOML: errors that say where and what to write, and values with units.
//!
//! A value is written with its unit (`"10s"`, `"64KiB"`), is never zero, and may be switched off
//! with `"off"` where its key allows that.

mod document;
mod setting;

pub use self::{
    document::{TomlError, from_table, from_toml, known_keys, parse_toml},
    setting::{Count, Limit, Size, TimeSpan},
};

#[cfg(test)]
mod tests;
