//! The end of a program whose session has ended: end of input, SIGINT, SIGTERM, SIGKILL.

use std::{
    future::poll_fn,
    task::{Context, Poll, ready},
};

use rustix::process::Signal;
use tokio::time::timeout;

use crate::{service::program::ProgramBackend, session::Ended};

/// The steps of the end. Each one is followed by the grace time.
const STEPS: [Option<Signal>; 3] = [None, Some(Signal::INT), Some(Signal::TERM)];

impl ProgramBackend {
    /// Ends the input, then sends signals to the process group until it has ended. Output is read until
    /// then, and dropped: a program that waits for its reader would not see the end of its input.
    ///
    /// Dropping the group sends SIGKILL to the group.
    pub(crate) async fn close(mut self, ended: &Ended) {
        match ended {
            // The messages of the client before its end are owed to the program. A program that does not
            // read is given up at the write deadline.
            Ended::ByPeer { .. } | Ended::Lost => {
                let _ = poll_fn(|cx| {
                    let _ = self.poll_ended(cx);
                    self.input.poll_write(cx)
                })
                .await;
            }
            Ended::ByUs(_) | Ended::ByService { .. } => {}
        }
        self.input.end();
        let grace = self.grace;
        for signal in STEPS {
            if let Some(signal) = signal {
                self.group.signal(signal);
            }
            let ended = poll_fn(|cx| self.poll_ended(cx));
            if timeout(grace, ended).await.is_ok() {
                return;
            }
        }
    }

    /// Ready when the program has exited and no process holds its output. A process that the program
    /// left behind usually does.
    fn poll_ended(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let output = self.output.poll_discard(cx);
        let errors = self.errors.poll_discard(cx);
        ready!(self.group.poll_exit(cx));
        ready!(output);
        errors
    }
}
