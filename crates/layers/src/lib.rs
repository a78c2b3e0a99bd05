//! A check, for tests, that the files of a crate import only what is below them.
//!
//! The order of the layers is a table in the crate's own `lib.rs`, under the heading `# Layers`. The
//! top row is the highest layer. The first cell names the layer; each code span of the second cell
//! is a file or a folder of `src`, such as `cli.rs` or `console/editor/`. The longest entry that
//! covers a file gives its layer.
//!
//! [`Check`] parses all of `src` and resolves each path that begins in the crate to the file that
//! defines the item, through re-exports of a `mod.rs`. It reports an import of a higher layer, files
//! that import each other in a circle, a `mod.rs` that defines something, and a table that does not
//! fit the files.
//!
//! Code in the unit tests of a file counts as the file's. A file in a folder `tests` or named
//! `tests.rs` may import its own layer and all below, and takes no part in circles.
//!
//! The check sees no paths in strings (`#[serde(default = "...")]`), no items that a macro makes,
//! and no calls of methods.
//!
//! `cargo run -p layers crates/ws-client` checks a crate by hand, without rules of the caller.
//!
//! # Layers
//!
//! | layer | modules |
//! |---|---|
//! | the check | `check.rs` |
//! | its parts | `circles.rs`, `imports.rs` |
//! | parsed modules | `tree.rs` |
//! | files and their text | `paths.rs`, `sources.rs`, `table.rs` |
//! | faults | `violation.rs` |

mod check;
mod circles;
mod imports;
mod paths;
mod sources;
mod table;
#[cfg(test)]
mod tests;
mod tree;
mod violation;

pub use self::{
    check::{Check, Report, Violations},
    violation::Violation,
};
