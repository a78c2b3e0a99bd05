//! The signals that end the program.

use std::{io, task::Poll};

use futures::{Stream, stream};
use tokio::signal::unix::{SignalKind, signal};

/// Returns a stream with one item for each signal that by default ends a program and can be handled:
/// Ctrl-C, Ctrl-\, `SIGTERM`, `SIGHUP` and others. An unhandled one would leave the terminal
/// without echo.
///
/// # Errors
///
/// The signal handlers cannot be installed.
pub(crate) fn interrupts() -> io::Result<impl Stream<Item = ()> + Unpin> {
    let mut signals = [
        signal(SignalKind::interrupt())?,
        signal(SignalKind::terminate())?,
        signal(SignalKind::hangup())?,
        signal(SignalKind::quit())?,
        signal(SignalKind::alarm())?,
        signal(SignalKind::user_defined1())?,
        signal(SignalKind::user_defined2())?,
    ];
    Ok(stream::poll_fn(move |cx| {
        for signal in &mut signals {
            if let Poll::Ready(Some(())) = signal.poll_recv(cx) {
                return Poll::Ready(Some(()));
            }
        }
        Poll::Pending
    }))
}

#[cfg(test)]
mod tests {
    use futures::StreamExt as _;
    use rustix::process::{Signal, getpid, kill_process};

    use super::interrupts;

    /// An unhandled signal would end this process, and leave a terminal without echo.
    #[tokio::test]
    async fn every_ending_signal_is_handled() {
        let mut interrupts = interrupts().unwrap();
        for signal in [Signal::QUIT, Signal::HUP, Signal::ALARM, Signal::USR1] {
            kill_process(getpid(), signal).unwrap();
            assert_eq!(interrupts.next().await, Some(()));
        }
    }
}
