//! The subcommand that limits a process and then becomes the program.
//!
//! Code between `fork` and `exec` would be unsafe. So the server executes itself: the new process limits
//! itself by safe calls, and then executes the program.

use std::{
    env,
    ffi::OsString,
    io::{self, Write as _},
    os::unix::process::CommandExt as _,
    path::Path,
    process::{self, Command},
    sync::atomic::{AtomicBool, Ordering},
};

use rustix::process::{Pid, getpid, getppid};

use crate::service::program::limits::ProgramLimits;

/// The first argument of a helper.
const SUBCOMMAND: &str = "run-program";

/// The exit code of a helper that did not become the program, as that of a shell.
const FAILED: i32 = 126;

/// The own executable, even after its file was replaced.
const OWN_EXECUTABLE: &str = "/proc/self/exe";

/// [`run_helper`] was called, so that this executable can be a helper.
static IS_READY: AtomicBool = AtomicBool::new(false);

/// The reason why a helper did not become the program.
#[derive(Debug, thiserror::Error)]
enum HelperError {
    #[error("the arguments of the helper are not those of a server")]
    Arguments,
    #[error("cannot start the program: the server has ended")]
    ServerEnded,
    #[error("cannot set the {0} of the program: {1}")]
    Limit(&'static str, io::Error),
    #[error("cannot execute {}: {}", .0.display(), .1)]
    Exec(OsString, io::Error),
}

/// Becomes the program of a session, if this process was started for that. Otherwise it returns.
///
/// Programs with limits or another user are started by way of this executable. So `main` of an embedder
/// must call this first, before there are threads. Without the call, such a program is an error of the
/// configuration.
pub fn run_helper() {
    let mut arguments = env::args_os().skip(1);
    if arguments.next().is_some_and(|first| first == SUBCOMMAND) {
        let error = become_program(arguments);
        let _ = writeln!(io::stderr(), "ws-server: {error}");
        process::exit(FAILED);
    }
    IS_READY.store(true, Ordering::Relaxed);
}

/// Returns true if this executable can be a helper.
pub(super) fn is_ready() -> bool {
    IS_READY.load(Ordering::Relaxed)
}

/// Returns the command of a helper that becomes the program in `file`. The caller adds its arguments.
pub(super) fn helper_command(limits: &ProgramLimits, file: &Path) -> Command {
    let mut command = Command::new(OWN_EXECUTABLE);
    command
        .arg0("ws-server")
        .arg(SUBCOMMAND)
        .arg(getpid().to_string())
        .args(limits.to_arguments())
        .arg(file);
    command
}

/// Limits this process and executes the program. Returns only if that fails.
fn become_program(mut arguments: impl Iterator<Item = OsString>) -> HelperError {
    let parent = arguments.next().and_then(|pid| pid.to_str()?.parse().ok());
    let limits = ProgramLimits::from_arguments(&mut arguments);
    let (Some(parent), Some(limits), Some(file)) =
        (parent.and_then(Pid::from_raw), limits, arguments.next())
    else {
        return HelperError::Arguments;
    };
    if let Err((name, error)) = limits.apply() {
        return HelperError::Limit(name, error.into());
    }
    // The signal of its death came before it was asked for.
    if getppid() != Some(parent) {
        return HelperError::ServerEnded;
    }
    let error = Command::new(&file).args(arguments).exec();
    HelperError::Exec(file, error)
}
