//! The program service: one process for each session, which reads messages on stdin and writes them on
//! stdout.

mod command;
mod directory;
mod ending;
mod environment;
mod exit;
mod group;
mod helper;
mod input;
mod leaders;
mod limits;
mod lines;
mod options;
mod output;
mod percent;
mod program;
mod programs;
mod slots;
mod stderr;

pub(crate) use self::program::ProgramBackend;
pub use self::{
    command::ProgramCommand,
    directory::ProgramDirectory,
    helper::run_helper,
    options::{Multiline, ProgramMode, ProgramService, Stderr},
    programs::{ProgramStats, Programs},
};
