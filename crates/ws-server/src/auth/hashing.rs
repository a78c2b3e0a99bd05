//! Password hashing on blocking threads, with a limit on concurrent hashes and a bounded queue.

use std::{
    collections::{HashMap, VecDeque},
    num::NonZeroUsize,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use proto::password::HashMemory;
use tokio::{sync::oneshot, task::spawn_blocking};

use crate::peer::AddressGroup;

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

/// The hashing workers and their queue. Addresses take turns, so that one with many logins does not make
/// the others wait for all of them.
#[derive(Debug)]
pub(crate) struct HashingPool {
    workers: Arc<HashWorkers>,
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
    queue: Mutex<Queue>,
    /// The memory of the free workers. It is not kept per blocking thread, because tokio may start
    /// many more threads than there are workers.
    memories: Mutex<Vec<HashMemory>>,
}

/// The free workers, or the waiting logins.
#[derive(Debug)]
struct Queue {
    /// The number of free workers. While there is one, no login waits.
    free: usize,
    waiting: HashMap<AddressGroup, VecDeque<Waiter>>,
    /// The addresses with waiting logins, in the order of their turns.
    turns: VecDeque<AddressGroup>,
    /// The number of waiting logins.
    len: usize,
    last_id: u64,
}

/// A waiting login. The worker is granted by the sender; dropping it refuses the login.
#[derive(Debug)]
struct Waiter {
    id: u64,
    grant: oneshot::Sender<()>,
}

/// The wait of a login. Drop leaves the queue.
#[derive(Debug)]
struct Wait {
    workers: Arc<HashWorkers>,
    address: AddressGroup,
    id: u64,
    granted: oneshot::Receiver<()>,
}

/// A hashing worker in exclusive use. Drop frees it.
#[derive(Debug)]
pub(crate) struct HashSlot {
    workers: Arc<HashWorkers>,
}

impl HashingPool {
    /// Creates an idle pool.
    pub(crate) fn new(policy: HashingPolicy) -> Self {
        Self {
            workers: Arc::new(HashWorkers {
                queue: Mutex::new(Queue {
                    free: policy.workers.get(),
                    waiting: HashMap::new(),
                    turns: VecDeque::new(),
                    len: 0,
                    last_id: 0,
                }),
                memories: Mutex::default(),
            }),
            policy,
        }
    }

    /// Returns the state of the pool at this moment.
    pub(crate) fn stats(&self) -> HashingStats {
        let queue = self.workers.queue();
        let workers = self.policy.workers.get();
        HashingStats {
            workers,
            busy: workers.saturating_sub(queue.free),
            waiting: queue.len,
        }
    }

    /// Waits for a worker, in turns by address. Returns `None` if the queue is full, and each address in
    /// it has at most one login more than this one. Otherwise the newest login of the address with the
    /// most is refused in its place, at once.
    ///
    /// Cancel safe: the login leaves the queue.
    pub(crate) async fn acquire(&self, address: AddressGroup) -> Option<HashSlot> {
        let mut wait = {
            let mut queue = self.workers.queue();
            if queue.free > 0 {
                queue.free -= 1;
                let workers = Arc::clone(&self.workers);
                return Some(HashSlot { workers });
            }
            if queue.len >= self.policy.max_queued.get() && !queue.displace_for(address) {
                return None;
            }
            let (id, granted) = queue.enter(address);
            Wait {
                workers: Arc::clone(&self.workers),
                address,
                id,
                granted,
            }
        };
        let is_granted = (&mut wait.granted).await.is_ok();
        is_granted.then(|| HashSlot {
            workers: Arc::clone(&wait.workers),
        })
    }
}

impl Queue {
    /// Adds a login behind the others of its address.
    fn enter(&mut self, address: AddressGroup) -> (u64, oneshot::Receiver<()>) {
        self.last_id += 1;
        self.len += 1;
        let (grant, granted) = oneshot::channel();
        let waiters = self.waiting.entry(address).or_default();
        if waiters.is_empty() {
            self.turns.push_back(address);
        }
        let id = self.last_id;
        waiters.push_back(Waiter { id, grant });
        (id, granted)
    }

    /// Refuses the newest login of the address with the most logins, if that address still has as many
    /// as this one then. Returns true if it did.
    fn displace_for(&mut self, address: AddressGroup) -> bool {
        let ours = self.waiting.get(&address).map_or(0, VecDeque::len);
        let most = self.waiting.values_mut().max_by_key(|it| it.len());
        let Some(most) = most.filter(|most| most.len() > ours + 1) else {
            return false;
        };
        most.pop_back();
        self.len -= 1;
        true
    }

    /// Takes the next login out of the queue. The next turn is that of another address.
    fn next(&mut self) -> Option<Waiter> {
        let address = self.turns.pop_front()?;
        let waiters = self.waiting.get_mut(&address)?;
        let waiter = waiters.pop_front();
        if waiters.is_empty() {
            self.waiting.remove(&address);
        } else {
            self.turns.push_back(address);
        }
        self.len -= 1;
        waiter
    }

    /// Removes a login that no longer waits. Returns false if it is not in the queue.
    fn leave(&mut self, address: AddressGroup, id: u64) -> bool {
        let Some(waiters) = self.waiting.get_mut(&address) else {
            return false;
        };
        let Some(index) = waiters.iter().position(|waiter| waiter.id == id) else {
            return false;
        };
        waiters.remove(index);
        if waiters.is_empty() {
            self.waiting.remove(&address);
            self.turns.retain(|turn| *turn != address);
        }
        self.len -= 1;
        true
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        let has_left = self.workers.queue().leave(self.address, self.id);
        // Granted and then cancelled, before the grant was received.
        if !has_left && self.granted.try_recv().is_ok() {
            self.workers.release();
        }
    }
}

impl Drop for HashSlot {
    fn drop(&mut self) {
        self.workers.release();
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
    /// Grants a worker to the next login, or counts it as free.
    fn release(&self) {
        let mut queue = self.queue();
        match queue.next() {
            // Received: a login leaves the queue, under this lock, before its receiver is dropped.
            Some(waiter) => {
                let _ = waiter.grant.send(());
            }
            None => queue.free += 1,
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        // A panic while the lock was held cannot have left the queue half changed.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn memories(&self) -> MutexGuard<'_, Vec<HashMemory>> {
        // A panic while the lock was held cannot have left a list half changed.
        self.memories.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::{net::IpAddr, num::NonZeroUsize, sync::mpsc};

    use futures::{FutureExt as _, future::join_all};
    use tokio::task::yield_now;

    use super::{HashingPolicy, HashingPool};
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

    /// 64 connections of one address made the logins of others wait for seconds.
    #[tokio::test]
    async fn addresses_take_turns() {
        let pool = pool(1, 64);
        let busy = pool.acquire(address(1)).await.unwrap();
        let mut waiting: Vec<_> = [1, 1, 1, 1, 2, 2, 3]
            .map(|last| (last, Box::pin(pool.acquire(address(last)))))
            .into();
        for (_, worker) in &mut waiting {
            assert!(worker.now_or_never().is_none());
        }
        drop(busy);
        let mut turns = Vec::new();
        while !waiting.is_empty() {
            let mut ready = None;
            for (index, (_, worker)) in waiting.iter_mut().enumerate() {
                if let Some(slot) = worker.now_or_never() {
                    ready = Some((index, slot.unwrap()));
                    break;
                }
            }
            let (index, slot) = ready.unwrap();
            turns.push(waiting.remove(index).0);
            drop(slot);
        }
        assert_eq!(turns, [1, 2, 3, 1, 2, 1, 1]);
    }

    #[tokio::test]
    async fn full_queue_refuses_newest_of_largest_address() {
        let pool = pool(1, 4);
        let busy = pool.acquire(address(1)).await.unwrap();
        let mut of_one: Vec<_> = (0..4).map(|_| Box::pin(pool.acquire(address(1)))).collect();
        for worker in &mut of_one {
            assert!(worker.now_or_never().is_none());
        }
        let mut others: Vec<_> = [2, 3]
            .map(|last| Box::pin(pool.acquire(address(last))))
            .into();
        for worker in &mut others {
            assert!(worker.now_or_never().is_none());
        }
        for worker in of_one.drain(2..) {
            assert!(worker.now_or_never().unwrap().is_none(), "it is displaced");
        }
        // Two, one and one wait: no address has so many that one of its logins must go.
        assert!(pool.acquire(address(2)).await.is_none());
        let mut fourth = Box::pin(pool.acquire(address(4)));
        assert!((&mut fourth).now_or_never().is_none());
        assert!(of_one.pop().unwrap().now_or_never().unwrap().is_none());
        drop((busy, of_one));
        for worker in others {
            assert!(worker.await.is_some());
        }
        assert!(fourth.await.is_some());
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
        let memories = pool.workers.memories().len();
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
