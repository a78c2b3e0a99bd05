//! The list of all properties.

use super::{handshake, login, renderer, verdict};

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
