//! The writing of the queued output.

use std::io;

use futures::future::poll_fn;

use crate::console::{Console, ConsoleEvent};

/// Writes the queued output and returns the last write error of stdout. There is no deadline: the
/// readers are programs of the user.
pub(crate) async fn drain(console: &mut impl Console) -> Option<io::Error> {
    let mut write_error = None;
    while !console.is_drained() {
        let event = poll_fn(|cx| console.poll_event(cx, None)).await;
        if let ConsoleEvent::OutputFailed(error) = event {
            write_error = Some(error);
        }
    }
    write_error
}
