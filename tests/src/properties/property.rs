//! The list of all properties.

use super::{handshake, login, renderer, ticket, verdict};

/// A property with its seeds.
#[derive(Debug, Clone, Copy)]
pub struct Property {
    /// The name.
    pub name: &'static str,
    /// Panics if the property does not hold for these bytes.
    pub check: fn(&[u8]),
    /// Returns the named seeds.
    pub seeds: fn() -> Vec<(String, Vec<u8>)>,
}

/// All properties.
pub const ALL: [Property; 5] = [
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
    Property {
        name: "ticket",
        check: ticket::check,
        seeds: ticket::seeds,
    },
];
