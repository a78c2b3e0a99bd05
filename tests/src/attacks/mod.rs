//! Tables of attacks: the bytes, the violated section of the RFC, and the expected reaction.
//!
//! The tables are plain data. The `attacks` tests send each row to a server. The properties are
//! checked on all rows, and fuzzing uses them as seeds.

mod attack;
pub mod frames;
pub mod requests;

pub use self::attack::{Attack, named};
