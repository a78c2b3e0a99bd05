//! The signals that ask the program to end.

use std::{io, task::Poll};

use futures::{Stream, stream};
use tokio::signal::unix::{SignalKind, signal};

/// One item for each Ctrl-C, `SIGTERM` or `SIGHUP`.
///
/// # Errors
///
/// The system does not let the signals be caught.
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
