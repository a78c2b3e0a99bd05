//! The command line: arguments in, exit code out.

mod arguments;
mod cli;
mod help;
#[cfg(test)]
mod tests;

pub use self::cli::main;
