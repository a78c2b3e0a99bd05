//! What holds for any bytes whatever, as functions that panic where it does not.
//!
//! Each property is written without the code that it is about: it reads the same bytes once more,
//! in the simplest way that is right, and asserts that the product comes to the same end. Plain
//! tests try them on the tables of [`attacks`](crate::attacks), on changed rows of them, and on
//! chance; fuzzing begins with the same rows, and goes on from there.

mod field;
pub mod handshake;
pub mod login;
pub mod renderer;
mod script;
pub mod verdict;

/// A property, for whoever tries all of them.
#[derive(Debug, Clone, Copy)]
pub struct Property {
    /// What it is about.
    pub name: &'static str,
    /// Panics if it does not hold for these bytes.
    pub check: fn(&[u8]),
    /// Bytes to begin with, each under a name.
    pub seeds: fn() -> Vec<(String, Vec<u8>)>,
}

/// All properties.
pub const ALL: [Property; 4] = [
    Property {
        name: "handshake",
        check: handshake::check,
        seeds: handshake::seeds,
    },
    Property {
        name: "login",
        check: login::check,
        seeds: login::seeds,
    },
    Property {
        name: "verdict",
        check: verdict::check,
        seeds: verdict::seeds,
    },
    Property {
        name: "renderer",
        check: renderer::check,
        seeds: renderer::seeds,
    },
];
