//! Where passwords are hashed: away from the threads that serve connections, a few at a time.

use std::{num::NonZeroUsize, sync::Arc};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::spawn_blocking,
};

/// How much is hashed at the same time. One hash takes a core for tens of milliseconds, and as much
/// memory as its cost says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HashingPolicy {
    /// How many hashes are computed at a time.
    pub workers: NonZeroUsize,
    /// How many logins may wait for one of the workers; beyond that they are refused.
    pub max_waiting: NonZeroUsize,
}

impl HashingPolicy {
    /// How many logins may wait where nothing else is configured. At 30 ms a hash, the last of them
    /// waits two seconds for a single worker.
    pub const MAX_WAITING: NonZeroUsize = NonZeroUsize::new(64).unwrap();
}

/// The workers, and the queue before them.
#[derive(Debug)]
pub(crate) struct HashingPool {
    workers: Arc<Semaphore>,
    /// A place for each login that waits or is worked on.
    places: Arc<Semaphore>,
}

/// A place in the queue.
#[derive(Debug)]
pub(crate) struct Place {
    workers: Arc<Semaphore>,
    place: OwnedSemaphorePermit,
}

/// A worker that nobody else uses.
#[derive(Debug)]
pub(crate) struct Worker {
    _worker: OwnedSemaphorePermit,
    _place: OwnedSemaphorePermit,
}

impl HashingPool {
    /// A pool of which nothing is used yet.
    pub(crate) fn new(policy: HashingPolicy) -> Self {
        let (workers, waiting) = (policy.workers.get(), policy.max_waiting.get());
        Self {
            workers: Arc::new(Semaphore::new(workers)),
            places: Arc::new(Semaphore::new(workers.saturating_add(waiting))),
        }
    }

    /// A place in the queue, if there is one left. It is free again when it, or the worker that it
    /// became, is dropped.
    pub(crate) fn enter(&self) -> Option<Place> {
        let place = Arc::clone(&self.places).try_acquire_owned().ok()?;
        Some(Place {
            workers: Arc::clone(&self.workers),
            place,
        })
    }
}

impl Place {
    /// Waits for a worker, in the order of coming.
    ///
    /// Cancel safe: the place is free again.
    pub(crate) async fn worker(self) -> Worker {
        let worker = self.workers.acquire_owned().await;
        Worker {
            _worker: worker.expect("the workers are never sent home"),
            _place: self.place,
        }
    }
}

impl Worker {
    /// Has something computed; none if that panicked, as it does when there is no memory for it.
    ///
    /// It is computed to its end even if nobody waits for it any more, and the worker is not free
    /// before.
    pub(crate) async fn compute<T: Send + 'static>(
        self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let computed = spawn_blocking(move || {
            let result = work();
            drop(self);
            result
        });
        computed.await.ok()
    }
}

#[cfg(test)]
mod tests {
    use std::{num::NonZeroUsize, sync::mpsc};

    use futures::FutureExt as _;
    use tokio::task::yield_now;

    use super::{HashingPolicy, HashingPool};

    fn pool(workers: usize, max_waiting: usize) -> HashingPool {
        HashingPool::new(HashingPolicy {
            workers: NonZeroUsize::new(workers).unwrap(),
            max_waiting: NonZeroUsize::new(max_waiting).unwrap(),
        })
    }

    #[tokio::test]
    async fn so_many_are_worked_on_so_many_wait_and_nobody_else_comes_in() {
        let pool = pool(2, 3);
        let first = pool.enter().unwrap().worker().await;
        let _second = pool.enter().unwrap().worker().await;
        let mut waiting: Vec<_> = (0..3)
            .map(|_| Box::pin(pool.enter().unwrap().worker()))
            .collect();
        for worker in &mut waiting {
            assert!(worker.now_or_never().is_none());
        }
        assert!(pool.enter().is_none());
        // Whoever gives up waiting leaves its place to another.
        waiting.pop();
        let late = pool.enter().unwrap();
        assert!(pool.enter().is_none());
        assert_eq!(first.compute(|| 7).await, Some(7));
        let third = waiting.remove(0).now_or_never();
        assert!(third.is_some(), "the first in the queue is the next");
        assert!(late.worker().now_or_never().is_none());
    }

    #[tokio::test]
    async fn a_worker_is_not_free_before_it_is_done_whoever_gave_up() {
        let pool = pool(1, 1);
        let (finish, finished) = mpsc::channel::<()>();
        let worker = pool.enter().unwrap().worker().await;
        let given_up = worker.compute(move || finished.recv()).now_or_never();
        assert!(given_up.is_none());
        let mut next = Box::pin(pool.enter().unwrap().worker());
        for _ in 0..100 {
            assert!((&mut next).now_or_never().is_none());
            yield_now().await;
        }
        finish.send(()).unwrap();
        next.await;
    }

    #[tokio::test]
    async fn a_panic_costs_one_answer_and_no_worker() {
        let pool = pool(1, 1);
        let worker = pool.enter().unwrap().worker().await;
        assert_eq!(worker.compute(|| panic!("no memory")).await, None::<()>);
        pool.enter().unwrap().worker().await;
    }
}
