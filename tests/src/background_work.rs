//! Low-priority work beside a measurement.

use std::thread;

use futures::future::{Either, select};
use tokio::{sync::oneshot, task::LocalSet};

/// Work on its own low-priority thread, so that the measurement on the same CPU is not delayed.
#[derive(Debug)]
pub struct BackgroundWork<T> {
    stop: oneshot::Sender<()>,
    thread: thread::JoinHandle<Option<T>>,
}

impl<T: Send + 'static> BackgroundWork<T> {
    /// Starts the work. It may spawn local tasks.
    pub fn start<F: Future<Output = T>>(work: impl FnOnce() -> F + Send + 'static) -> Self {
        let (stop, stopped) = oneshot::channel();
        let thread = thread::spawn(move || {
            // On Linux the nice value is that of the thread.
            rustix::process::nice(19).expect("the priority can be lowered");
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime can be made");
            // Dropping the set ends the tasks that the work spawned.
            let spawned = LocalSet::new();
            let over = async { select(Box::pin(work()), stopped).await };
            match spawned.block_on(&runtime, over) {
                Either::Left((done, _)) => Some(done),
                Either::Right(_) => None,
            }
        });
        Self { stop, thread }
    }

    /// Returns whether the work has finished.
    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// Stops the work. Returns its result, or `None` if it had not finished.
    pub fn stop(self) -> Option<T> {
        // The thread may have finished or panicked; the join reports that.
        let _ = self.stop.send(());
        self.thread.join().expect("the work does not panic")
    }
}
