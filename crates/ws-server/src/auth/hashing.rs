//! Password hashing on blocking threads, with a limit on concurrent hashes and a bounded queue.

use std::{
    num::NonZeroUsize,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use proto::password::HashMemory;
use tokio::task::spawn_blocking;

use crate::peer::{AddressGroup, FairSemaphore, Permit};

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

/// The hashing workers. Addresses take turns, so that one with many logins does not make the others
/// wait for all of them.
#[derive(Debug)]
pub(crate) struct HashingPool {
    workers: Arc<FairSemaphore>,
    /// The memory of the free workers. It is not kept per blocking thread, because tokio may start
    /// many more threads than there are workers.
    memories: Arc<Mutex<Vec<HashMemory>>>,
    policy: HashingPolicy,
    hash_time: Arc<HashTime>,
}

/// The time that a hash takes, as a moving average.
#[derive(Debug)]
struct HashTime(AtomicU64);

impl HashTime {
    /// The time before the first hash, in microseconds: that of the default cost on one core.
    const FIRST: u64 = 31_000;

    /// Returns the average.
    fn average(&self) -> Duration {
        Duration::from_micros(self.0.load(Ordering::Relaxed))
    }

    /// Adds a measurement, with a weight of an eighth.
    fn record(&self, time: Duration) {
        let time = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        // A lost update of two workers at once does not matter.
        let average = self.0.load(Ordering::Relaxed);
        let average = average - average / 8 + time / 8;
        self.0.store(average, Ordering::Relaxed);
    }
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

/// A hashing worker in exclusive use. Drop frees it.
#[derive(Debug)]
pub(crate) struct HashSlot {
    worker: Permit,
    memories: Arc<Mutex<Vec<HashMemory>>>,
    hash_time: Arc<HashTime>,
}

impl HashingPool {
    /// Creates an idle pool.
    pub(crate) fn new(policy: HashingPolicy) -> Self {
        let workers = FairSemaphore::new(policy.workers.get(), policy.max_queued.get());
        Self {
            workers: Arc::new(workers),
            memories: Arc::default(),
            policy,
            hash_time: Arc::new(HashTime(AtomicU64::new(HashTime::FIRST))),
        }
    }

    /// Returns the state of the pool at this moment.
    pub(crate) fn stats(&self) -> HashingStats {
        let workers = self.policy.workers.get();
        let (free, waiting) = self.workers.free_and_waiting();
        HashingStats {
            workers,
            busy: workers.saturating_sub(free),
            waiting,
        }
    }

    /// Returns the time that the logins in the pool need, with one more.
    pub(crate) fn needed_time(&self) -> Duration {
        let HashingStats {
            workers,
            busy,
            waiting,
        } = self.stats();
        let rounds = (busy + waiting + 1).div_ceil(workers);
        let rounds = u32::try_from(rounds).unwrap_or(u32::MAX);
        self.hash_time.average().saturating_mul(rounds)
    }

    /// Waits for a worker, in turns by address. Returns `None` if the queue refuses the login; see
    /// [`FairSemaphore::acquire`].
    ///
    /// Cancel safe: the login leaves the queue.
    pub(crate) async fn acquire(&self, address: AddressGroup) -> Option<HashSlot> {
        let worker = self.workers.acquire(address).await?;
        Some(HashSlot {
            worker,
            memories: Arc::clone(&self.memories),
            hash_time: Arc::clone(&self.hash_time),
        })
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
        let Self {
            worker,
            memories,
            hash_time,
        } = self;
        let computed = spawn_blocking(move || {
            let mut memory = lock(&memories).pop().unwrap_or_default();
            let start = Instant::now();
            let result = work(&mut memory);
            hash_time.record(start.elapsed());
            // Returned before the worker is freed, so that the next login reuses this memory.
            lock(&memories).push(memory);
            drop(worker);
            result
        });
        computed.await.ok()
    }
}

fn lock(memories: &Mutex<Vec<HashMemory>>) -> MutexGuard<'_, Vec<HashMemory>> {
    // A panic while the lock was held cannot have left a list half changed.
    memories.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::{
        net::IpAddr,
        num::NonZeroUsize,
        sync::{atomic::AtomicU64, mpsc},
        time::Duration,
    };

    use futures::{FutureExt as _, future::join_all};
    use tokio::task::yield_now;

    use super::{HashTime, HashingPolicy, HashingPool};
    use crate::peer::AddressGroup;

    fn pool(workers: usize, max_queued: usize) -> HashingPool {
        HashingPool::new(HashingPolicy {
            workers: NonZeroUsize::new(workers).unwrap(),
            max_queued: NonZeroUsize::new(max_queued).unwrap(),
        })
    }

    /// Returns an address by its last byte.
    fn address(last: u8) -> AddressGroup {
        AddressGroup::of(IpAddr::from([192, 0, 2, last]))
    }

    #[tokio::test]
    async fn pool_limits_workers_and_queue() {
        let (pool, one) = (pool(2, 3), address(1));
        let first = pool.acquire(one).await.unwrap();
        let _second = pool.acquire(one).await.unwrap();
        let mut waiting: Vec<_> = (0..3).map(|_| Box::pin(pool.acquire(one))).collect();
        for worker in &mut waiting {
            assert!(worker.now_or_never().is_none());
        }
        assert_eq!((pool.stats().busy, pool.stats().waiting), (2, 3));
        assert!(pool.acquire(one).await.is_none());
        // A cancelled wait frees its slot.
        waiting.pop();
        let mut late = Box::pin(pool.acquire(one));
        assert!((&mut late).now_or_never().is_none());
        assert!(pool.acquire(one).await.is_none());
        assert_eq!(first.compute(|_| 7).await, Some(7));
        let third = waiting.remove(0).now_or_never().flatten();
        assert!(third.is_some(), "the queue is first in, first out");
        assert!((&mut late).now_or_never().is_none());
        // Granted and cancelled before it was received.
        drop(third);
        waiting.clear();
        assert!(late.now_or_never().flatten().is_some());
        assert_eq!((pool.stats().busy, pool.stats().waiting), (1, 0));
    }

    #[test]
    fn hash_time_follows_measurements() {
        let time = HashTime(AtomicU64::new(HashTime::FIRST));
        assert_eq!(time.average(), Duration::from_millis(31));
        for _ in 0..100 {
            time.record(Duration::from_millis(200));
        }
        let average = time.average();
        let near = Duration::from_millis(199)..=Duration::from_millis(200);
        assert!(near.contains(&average), "{average:?}");
    }

    #[tokio::test]
    async fn needed_time_grows_with_queue() {
        let (pool, one) = (pool(2, 64), address(1));
        assert_eq!(pool.needed_time(), Duration::from_millis(31));
        let _busy = [pool.acquire(one).await, pool.acquire(one).await];
        assert_eq!(pool.needed_time(), Duration::from_millis(62));
        let mut waiting: Vec<_> = (0..64).map(|_| Box::pin(pool.acquire(one))).collect();
        for worker in &mut waiting {
            assert!(worker.now_or_never().is_none());
        }
        assert_eq!(pool.needed_time(), Duration::from_millis(34 * 31));
    }

    #[tokio::test]
    async fn cancelled_computation_keeps_worker_until_done() {
        let (pool, one) = (pool(1, 1), address(1));
        let (finish, finished) = mpsc::channel::<()>();
        let worker = pool.acquire(one).await.unwrap();
        let cancelled = worker.compute(move |_| finished.recv()).now_or_never();
        assert!(cancelled.is_none());
        let mut next = Box::pin(pool.acquire(one));
        for _ in 0..100 {
            assert!((&mut next).now_or_never().is_none());
            yield_now().await;
        }
        finish.send(()).unwrap();
        assert!(next.await.is_some());
    }

    #[tokio::test]
    async fn memories_never_exceed_workers() {
        let pool = pool(2, 98);
        let logins = (0..100).map(|last| {
            let slot = pool.acquire(address(last));
            async { slot.await.unwrap().compute(|_| ()).await }
        });
        let hashed = join_all(logins).await;
        assert_eq!(hashed, [Some(()); 100]);
        let memories = super::lock(&pool.memories).len();
        assert!((1..=2).contains(&memories), "{memories}");
    }

    #[tokio::test]
    async fn panic_fails_one_login_and_frees_worker() {
        let (pool, one) = (pool(1, 1), address(1));
        let worker = pool.acquire(one).await.unwrap();
        assert_eq!(worker.compute(|_| panic!("no memory")).await, None::<()>);
        assert!(pool.acquire(one).await.is_some());
    }
}
