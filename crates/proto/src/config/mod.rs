//! The TOML reader of both programs: errors with line, key and remedy, and values with units.
//!
//! A value has a unit (`"10s"`, `"64KiB"`) and is never zero. `"off"` disables it where the key
//! allows that.

mod document;
mod setting;

pub use self::{
    document::{TomlError, from_table, from_toml, known_keys, parse_toml},
    setting::{As, Count, Limit, Size, TimeSpan, word},
};

#[cfg(test)]
mod tests;
