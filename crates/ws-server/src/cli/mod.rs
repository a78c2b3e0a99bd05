//! The command line: the server, and the commands `ctl`, `hash-password` and
//! `new-secret`.

mod command_line;
mod ctl;
mod hash_password;
mod new_secret;
mod startup_notices;

pub use self::command_line::main;
