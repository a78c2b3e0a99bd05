//! The command line: arguments in, exit code out.

mod cli;
#[cfg(test)]
mod tests;

pub use self::cli::main;
