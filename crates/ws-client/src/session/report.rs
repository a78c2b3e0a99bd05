//! The report at the end of the program: why it ends, and how many lines were not sent.

use std::time::Duration;

use tokio::time::timeout;

use super::{
    closing::SessionEnd,
    drain::drain,
    outcome::{EndReason, unsent},
};
use crate::{
    console::{Console, Mode, Notice},
    exit::Exit,
};

/// Prints the report of an end and returns the exit code. After an interrupt, the output has
/// `deadline` to be written.
pub(crate) async fn print_report(
    console: &mut impl Console,
    end: &SessionEnd,
    deadline: Duration,
) -> Exit {
    let SessionEnd {
        end_reason, queued, ..
    } = end;
    let report = end.report(deadline);
    for notice in report.notices {
        console.notice(notice);
    }
    match end_reason {
        // The reader of the output may be the reason for the end.
        EndReason::Interrupted | EndReason::TimeUp(_) => {
            let _ = timeout(deadline, drain(console)).await;
        }
        _ => drop(drain(console).await),
    }
    if !end_reason.leaves_lines(console.mode()) {
        return report.exit;
    }
    let bad_lines = match end_reason {
        EndReason::BadInput(error) => error.lines(),
        // The line may have been meant as a message.
        EndReason::NoCredentials(_) | EndReason::NoFurtherCredentials => 1,
        _ => 0,
    };
    let unsent_lines = console.unsent_lines().await;
    let Some(unsent) = unsent_lines.and_then(|lines| unsent(lines, *queued + bad_lines)) else {
        return report.exit;
    };
    console.notice(Notice::Unsent(unsent));
    if let EndReason::Exit = end_reason {
        console.notice(Notice::LinesAfterExit);
    }
    drain(console).await;
    match (report.exit, console.mode()) {
        (Exit::Ok, Mode::Pipe) if matches!(end_reason, EndReason::Exit) => Exit::Usage,
        // The goal was reached without these lines.
        (Exit::Ok, Mode::Pipe)
            if matches!(end_reason, EndReason::CountReached | EndReason::TimeUp(_)) =>
        {
            Exit::Ok
        }
        // After a normal close too, unsent lines of a pipe are an error.
        (Exit::Ok, Mode::Pipe) => Exit::Closed,
        (exit, _) => exit,
    }
}
