//! What holds for any bytes whatever, as functions that panic where it does not.
//!
//! Each property is written without the code that it is about: it reads the same bytes once more,
//! in the simplest way that is right, and asserts that the product comes to the same end. Plain
//! tests try them on the tables of [`attacks`](crate::attacks), on changed rows of them, and on
//! chance; fuzzing begins with the same rows, and goes on from there.

mod field;
pub mod handshake;
pub mod login;
mod property;
pub mod renderer;
mod script;
pub mod verdict;

pub use self::property::{ALL, Property};
