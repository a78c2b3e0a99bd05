//! The signals that end the program.

use std::{io, task::Poll};

use futures::{Stream, stream};
use tokio::signal::unix::{SignalKind, signal};

/// Returns a stream with one item for each Ctrl-C, `SIGTERM` or `SIGHUP`.
///
/// # Errors
///
/// The signal handlers cannot be installed.
pub(crate) fn interrupts() -> io::Result<impl Stream<Item = ()> + Unpin> {
    let mut signals = [
        signal(SignalKind::interrupt())?,
        signal(SignalKind::terminate())?,
        signal(SignalKind::hangup())?,
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
