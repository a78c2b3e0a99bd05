//! A check, for tests, that each file of a crate imports only its own layer and those below.
//!
//! The order of the layers is a table in the crate's own `lib.rs`, under the heading `# Layers`. The
//! top row is the highest layer. The first cell names the layer; each code span of the second cell
//! is a file or a folder of `src`, such as `cli.rs` or `console/editor/`. The longest entry that
//! covers a file gives its layer.
//!
//! [`Check`] reads the tokens of all files below `src` and resolves each path that begins in the
//! crate to the file that defines the item, through the re-exports of a `mod.rs`. It reports an
//! import of a higher layer, files that import each other in a cycle, a `mod.rs` or `lib.rs` that
//! defines something, and a table that does not fit the files.
//!
//! Unit tests inside a file count as part of it. A file in a folder `tests` or named `tests.rs` may
//! import its own layer and all below, and the search for cycles leaves it out.
//!
//! The check does not see paths in strings (`#[serde(default = "...")]`), names that are
//! imported by a glob (clippy's `wildcard_imports` reports these), and calls of methods.
//!
//! `cargo run -p layers crates/ws-client` checks a crate by hand, without the rules that its test adds
//! by [`Check::only`].
//!
//! # Layers
//!
//! | layer | modules |
//! |---|---|
//! | the check | `check.rs` |
//! | the imports between files | `imports.rs` |
//! | one file | `scan.rs` |
//! | files and the table | `sources.rs`, `table.rs` |

mod check;
mod imports;
mod scan;
mod sources;
mod table;
#[cfg(test)]
mod tests;

pub use self::check::{Check, Report, Violations};
