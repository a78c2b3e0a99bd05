//! The report at the end of the program: why it ends, and how many lines were not sent.

use std::time::Duration;

use tokio::time::timeout;

use super::{
    closing::SessionEnd,
    drain::drain,
    outcome::{EndReason, unsent},
};
use crate::{
    console::{Console, Event, Mode, Notice},
    exit::Exit,
};

/// Prints the report of an end and returns the exit code. After an interrupt or a time limit, the
/// output has `deadline` to be written.
pub(crate) async fn print_report(
    console: &mut impl Console,
    end: &SessionEnd,
    deadline: Duration,
) -> Exit {
    let report = end.report(deadline);
    if let Some(closed) = end.closed() {
        console.tell(closed);
    }
    for notice in report.notices {
        console.notice(notice);
    }
    let mut exit = report.exit;
    if end.end_reason.leaves_lines(console.mode()) {
        finish_output(console, end, deadline).await;
        exit = report_unsent(console, end, exit).await;
    }
    console.tell(Event::End(exit));
    finish_output(console, end, deadline).await;
    exit
}

/// Writes the queued output.
async fn finish_output(console: &mut impl Console, end: &SessionEnd, deadline: Duration) {
    match end.end_reason {
        // The reader of the output may be the reason for the end.
        EndReason::Interrupted | EndReason::TimeUp(_) => {
            let _ = timeout(deadline, drain(console)).await;
        }
        _ => drop(drain(console).await),
    }
}

/// Reports the lines that were not sent, and returns the exit code with regard to them.
async fn report_unsent(console: &mut impl Console, end: &SessionEnd, exit: Exit) -> Exit {
    let SessionEnd {
        end_reason, queued, ..
    } = end;
    let bad_lines = match end_reason {
        EndReason::BadInput(error) => error.lines(),
        // The line may have been meant as a message.
        EndReason::NoCredentials(_) | EndReason::NoFurtherCredentials => 1,
        _ => 0,
    };
    let unsent_lines = console.unsent_lines().await;
    let Some(unsent) = unsent_lines.and_then(|lines| unsent(lines, *queued + bad_lines)) else {
        return exit;
    };
    console.notice(Notice::Unsent(unsent));
    if let EndReason::Exit = end_reason {
        console.notice(Notice::LinesAfterExit);
    }
    match (exit, console.mode(), end_reason) {
        (Exit::Ok, Mode::Pipe, EndReason::Exit | EndReason::CloseRequested(_)) => Exit::Usage,
        // The goal was reached without these lines.
        (Exit::Ok, Mode::Pipe, EndReason::CountReached | EndReason::TimeUp(_)) => Exit::Ok,
        // After a normal close too, unsent lines of a pipe are an error.
        (Exit::Ok, Mode::Pipe, _) => Exit::Closed,
        (exit, _, _) => exit,
    }
}
