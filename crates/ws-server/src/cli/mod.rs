//! The command line: the server, and the commands `ctl` and `hash-password`.

mod command_line;
mod ctl;
mod hash_password;
mod startup_notices;

pub use self::command_line::main;
