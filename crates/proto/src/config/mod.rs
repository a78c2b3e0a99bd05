//! The TOML reader of both programs: errors with line, key and remedy, and values with units.
//!
//! A time span has a unit (`"10s"`). A size has a unit (`"64KiB"`) or is a number of bytes. A count is
//! a plain number. None of them is ever zero: `"off"` disables a limit, where the key allows it.

mod document;
mod setting;

pub use self::{
    document::{TomlError, from_table, from_toml, known_keys, parse_toml},
    setting::{As, Count, Limit, Size, TimeSpan, word},
};

#[cfg(test)]
mod tests;
