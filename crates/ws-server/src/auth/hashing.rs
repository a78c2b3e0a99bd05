//! Password hashing on blocking threads, with a limit on concurrent hashes and a bounded queue.

use std::{
    num::NonZeroUsize,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use proto::password::HashMemory;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::spawn_blocking,
};

/// The limits of hashing. One hash takes tens of milliseconds of CPU time, and the memory of its
/// cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HashingPolicy {
    /// The number of concurrent hashes.
    pub workers: NonZeroUsize,
    /// The number of logins that may wait for a worker. More are refused.
    pub max_queued: NonZeroUsize,
}

impl HashingPolicy {
    /// The default of `max_queued`. At 30 ms a hash, the last login waits two seconds for a single
    /// worker.
    pub const MAX_QUEUED: NonZeroUsize = NonZeroUsize::new(64).unwrap();
}

/// The hashing workers and their queue.
#[derive(Debug)]
pub(crate) struct HashingPool {
    workers: Arc<HashWorkers>,
    /// One permit for each login that waits or is being hashed.
    slots: Arc<Semaphore>,
    policy: HashingPolicy,
}

/// The state of the hashing pool at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HashingStats {
    /// The number of workers.
    pub(crate) workers: usize,
    /// The number of busy workers.
    pub(crate) busy: usize,
    /// The number of waiting logins.
    pub(crate) waiting: usize,
}

/// State shared by the hashing workers.
#[derive(Debug)]
struct HashWorkers {
    free: Arc<Semaphore>,
    /// The memory of the free workers. It is not kept per blocking thread, because tokio may start
    /// many more threads than there are workers.
    memories: Mutex<Vec<HashMemory>>,
}

/// A slot in the hashing queue.
#[derive(Debug)]
pub(crate) struct QueueSlot {
    workers: Arc<HashWorkers>,
    slot: OwnedSemaphorePermit,
}

/// A hashing worker in exclusive use.
#[derive(Debug)]
pub(crate) struct HashSlot {
    workers: Arc<HashWorkers>,
    _permit: OwnedSemaphorePermit,
    _queue_slot: OwnedSemaphorePermit,
}

impl HashingPool {
    /// Creates an idle pool.
    pub(crate) fn new(policy: HashingPolicy) -> Self {
        let (workers, waiting) = (policy.workers.get(), policy.max_queued.get());
        Self {
            workers: Arc::new(HashWorkers {
                free: Arc::new(Semaphore::new(workers)),
                memories: Mutex::default(),
            }),
            slots: Arc::new(Semaphore::new(workers.saturating_add(waiting))),
            policy,
        }
    }

    /// Returns the state of the pool at this moment.
    pub(crate) fn stats(&self) -> HashingStats {
        let workers = self.policy.workers.get();
        let slots = workers.saturating_add(self.policy.max_queued.get());
        let busy = workers.saturating_sub(self.workers.free.available_permits());
        let taken = slots.saturating_sub(self.slots.available_permits());
        HashingStats {
            workers,
            busy,
            // Saturating: the two counts are not read atomically.
            waiting: taken.saturating_sub(busy),
        }
    }

    /// Returns a slot in the queue, if one is free. Dropping the slot, or the worker that it
    /// acquired, frees it.
    pub(crate) fn enter(&self) -> Option<QueueSlot> {
        let slot = Arc::clone(&self.slots).try_acquire_owned().ok()?;
        Some(QueueSlot {
            workers: Arc::clone(&self.workers),
            slot,
        })
    }
}

impl QueueSlot {
    /// Waits for a worker, first come first served.
    ///
    /// Cancel safe: the slot is freed.
    pub(crate) async fn acquire(self) -> HashSlot {
        let permit = Arc::clone(&self.workers.free).acquire_owned().await;
        HashSlot {
            workers: self.workers,
            _permit: permit.expect("the semaphore is never closed"),
            _queue_slot: self.slot,
        }
    }
}

impl HashSlot {
    /// Runs a computation in the worker's memory. Returns `None` if it panicked, as it does if
    /// memory runs out.
    ///
    /// Cancel safe. A computation that has started runs to its end, and only then frees the worker.
    pub(crate) async fn compute<T: Send + 'static>(
        self,
        work: impl FnOnce(&mut HashMemory) -> T + Send + 'static,
    ) -> Option<T> {
        let computed = spawn_blocking(move || {
            let mut memory = self.workers.memories().pop().unwrap_or_default();
            let result = work(&mut memory);
            // Returned before the worker is freed, so that the next login reuses this memory.
            self.workers.memories().push(memory);
            drop(self);
            result
        });
        computed.await.ok()
    }
}

impl HashWorkers {
    fn memories(&self) -> MutexGuard<'_, Vec<HashMemory>> {
        // A panic while the lock was held cannot have left a list half changed.
        self.memories.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::{num::NonZeroUsize, sync::mpsc};

    use futures::{FutureExt as _, future::join_all};
    use tokio::task::yield_now;

    use super::{HashingPolicy, HashingPool};

    fn pool(workers: usize, max_queued: usize) -> HashingPool {
        HashingPool::new(HashingPolicy {
            workers: NonZeroUsize::new(workers).unwrap(),
            max_queued: NonZeroUsize::new(max_queued).unwrap(),
        })
    }

    #[tokio::test]
    async fn pool_limits_workers_and_queue() {
        let pool = pool(2, 3);
        let first = pool.enter().unwrap().acquire().await;
        let _second = pool.enter().unwrap().acquire().await;
        let mut waiting: Vec<_> = (0..3)
            .map(|_| Box::pin(pool.enter().unwrap().acquire()))
            .collect();
        for worker in &mut waiting {
            assert!(worker.now_or_never().is_none());
        }
        assert!(pool.enter().is_none());
        // A cancelled wait frees its slot.
        waiting.pop();
        let late = pool.enter().unwrap();
        assert!(pool.enter().is_none());
        assert_eq!(first.compute(|_| 7).await, Some(7));
        let third = waiting.remove(0).now_or_never();
        assert!(third.is_some(), "the queue is first in, first out");
        assert!(late.acquire().now_or_never().is_none());
    }

    #[tokio::test]
    async fn cancelled_computation_keeps_worker_until_done() {
        let pool = pool(1, 1);
        let (finish, finished) = mpsc::channel::<()>();
        let worker = pool.enter().unwrap().acquire().await;
        let cancelled = worker.compute(move |_| finished.recv()).now_or_never();
        assert!(cancelled.is_none());
        let mut next = Box::pin(pool.enter().unwrap().acquire());
        for _ in 0..100 {
            assert!((&mut next).now_or_never().is_none());
            yield_now().await;
        }
        finish.send(()).unwrap();
        next.await;
    }

    #[tokio::test]
    async fn memories_never_exceed_workers() {
        let pool = pool(2, 98);
        let logins = (0..100).map(|_| {
            let slot = pool.enter().unwrap();
            async { slot.acquire().await.compute(|_| ()).await }
        });
        let hashed = join_all(logins).await;
        assert_eq!(hashed, [Some(()); 100]);
        let memories = pool.workers.memories().len();
        assert!((1..=2).contains(&memories), "{memories}");
    }

    #[tokio::test]
    async fn panic_fails_one_login_and_frees_worker() {
        let pool = pool(1, 1);
        let worker = pool.enter().unwrap().acquire().await;
        assert_eq!(worker.compute(|_| panic!("no memory")).await, None::<()>);
        pool.enter().unwrap().acquire().await;
    }
}
