//! Properties that hold for all inputs. Each is a function that panics if the property is violated.
//!
//! A property does not use the code that it checks. It reads the same bytes again in the simplest
//! way, and asserts that the product gets the same result. The tests check the rows of the
//! [`attacks`](crate::attacks) tables, mutated rows and random bytes. Fuzzing starts from the same
//! rows.

mod field;
pub mod handshake;
pub mod login;
mod property;
pub mod renderer;
mod script;
pub mod ticket;
pub mod verdict;

pub use self::property::{ALL, Property};
