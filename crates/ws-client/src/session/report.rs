//! The last words of the program: why it ends, and what was not sent.

use std::{io, time::Duration};

use futures::future::poll_fn;
use tokio::time::timeout;

use super::outcome::{EndReason, ExitReport, unsent};
use crate::{
    console::{Console, ConsoleEvent, Mode},
    exit::Exit,
};

/// Says what is to be said, and returns the exit code. So many messages were queued and never sent;
/// whoever interrupts waits this long at most for the output to be written.
pub(crate) async fn print_report(
    console: &mut impl Console,
    end_reason: &EndReason,
    report: ExitReport,
    queued: usize,
    deadline: Duration,
) -> Exit {
    for line in &report.lines {
        console.say(line);
    }
    if let EndReason::Interrupted = end_reason {
        // Whoever reads the output may be what was to be interrupted.
        let _ = timeout(deadline, drain(console)).await;
        return report.exit;
    }
    drain(console).await;
    if !end_reason.leaves_lines() {
        return report.exit;
    }
    let bad_lines = match end_reason {
        EndReason::BadInput(error) => error.lines(),
        // It may have been meant as a message.
        EndReason::NoCredentials(_) => 1,
        _ => 0,
    };
    let unsent_lines = console.unsent_lines().await;
    let Some(line) = unsent(unsent_lines, queued + bad_lines) else {
        return report.exit;
    };
    console.say(&line);
    drain(console).await;
    match (report.exit, console.mode()) {
        // However kindly a server leaves, a script wants all of its lines sent.
        (Exit::Ok, Mode::Pipe) => Exit::Closed,
        (exit, _) => exit,
    }
}

/// Writes what is queued, and returns why messages could not be written, unless they could. There
/// is no deadline: it waits for the user's own programs.
pub(crate) async fn drain(console: &mut impl Console) -> Option<io::Error> {
    let mut unwritten = None;
    while !console.is_drained() {
        let event = poll_fn(|cx| console.poll_event(cx, None)).await;
        if let ConsoleEvent::OutputFailed(error) = event {
            unwritten = Some(error);
        }
    }
    unwritten
}
