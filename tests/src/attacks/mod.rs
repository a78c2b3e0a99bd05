//! What an attacker sends, as tables: bytes, the section of the RFC that they break, and what they
//! are to get for it.
//!
//! The tables are plain data. The `attacks` tests send each row to a server; the properties are
//! tried on all of them, and fuzzing begins with them.

mod attack;
pub mod frames;
pub mod requests;

pub use self::attack::{Attack, named};
