//! A semaphore whose permits are granted in turns by address.

use std::{
    collections::{HashMap, VecDeque},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};

use tokio::sync::oneshot;

use crate::peer::AddressGroup;

/// A semaphore. Addresses take turns, so that one with many waiters does not make the others wait for
/// all of them.
#[derive(Debug)]
pub(crate) struct FairSemaphore {
    queue: Mutex<Queue>,
    max_waiting: usize,
}

/// A permit. Drop returns it.
#[derive(Debug)]
pub(crate) struct Permit(Arc<FairSemaphore>);

/// The wait for a permit. The result is `None` if the wait was refused. Drop leaves the queue.
#[derive(Debug)]
pub(crate) struct Acquire(AcquireState);

#[derive(Debug)]
enum AcquireState {
    Done(Option<Permit>),
    Waiting(Wait),
}

/// The place of a waiter in the queue. Drop leaves the queue.
#[derive(Debug)]
struct Wait {
    semaphore: Arc<FairSemaphore>,
    address: AddressGroup,
    id: u64,
    granted: oneshot::Receiver<()>,
}

/// The free permits, or the waiters.
#[derive(Debug)]
struct Queue {
    /// The number of free permits. While there is one, there are no waiters.
    free: usize,
    waiting: HashMap<AddressGroup, VecDeque<Waiter>>,
    /// The addresses with waiters, in the order of their turns.
    turns: VecDeque<AddressGroup>,
    /// The number of waiters.
    len: usize,
    last_id: u64,
}

/// A waiter. The permit is granted by the sender; dropping it refuses the wait.
#[derive(Debug)]
struct Waiter {
    id: u64,
    grant: oneshot::Sender<()>,
}

impl FairSemaphore {
    /// Creates a semaphore with this number of permits and this maximum number of waiters.
    pub(crate) fn new(permits: usize, max_waiting: usize) -> Self {
        Self {
            queue: Mutex::new(Queue {
                free: permits,
                waiting: HashMap::new(),
                turns: VecDeque::new(),
                len: 0,
                last_id: 0,
            }),
            max_waiting,
        }
    }

    /// Returns the number of free permits, and the number of waiters.
    pub(crate) fn free_and_waiting(&self) -> (usize, usize) {
        let queue = self.queue();
        (queue.free, queue.len)
    }

    /// Takes a permit if one is free. While there are waiters, none is.
    pub(crate) fn try_acquire(self: &Arc<Self>) -> Option<Permit> {
        let is_taken = self.queue().take_free();
        is_taken.then(|| Permit(Arc::clone(self)))
    }

    /// Takes a permit, or enters the queue. The wait is refused if the queue is full, and each address
    /// in it has at most one waiter more than this one. Otherwise the newest waiter of the address with
    /// the most is refused in its place, at once.
    ///
    /// Cancel safe: the waiter leaves the queue.
    pub(crate) fn acquire(self: &Arc<Self>, address: AddressGroup) -> Acquire {
        let mut queue = self.queue();
        if queue.take_free() {
            let permit = Permit(Arc::clone(self));
            return Acquire(AcquireState::Done(Some(permit)));
        }
        if queue.len >= self.max_waiting && !queue.displace_for(address) {
            return Acquire(AcquireState::Done(None));
        }
        let (id, granted) = queue.enter(address);
        Acquire(AcquireState::Waiting(Wait {
            semaphore: Arc::clone(self),
            address,
            id,
            granted,
        }))
    }

    /// Grants a permit to the next waiter, or counts it as free.
    fn release(&self) {
        let mut queue = self.queue();
        match queue.next() {
            // Received: a waiter leaves the queue, under this lock, before its receiver is dropped.
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
}

impl Queue {
    /// Takes a free permit. Returns false if there is none.
    fn take_free(&mut self) -> bool {
        let is_free = self.free > 0;
        self.free -= usize::from(is_free);
        is_free
    }

    /// Adds a waiter behind the others of its address.
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

    /// Refuses the newest waiter of the address with the most, if that address still has as many as
    /// this one then. Returns true if it did.
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

    /// Takes the next waiter out of the queue. The next turn is that of another address.
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

    /// Removes a waiter. Returns false if it is not in the queue.
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

impl Acquire {
    /// Ready when the wait is over. The permit stays here until it is taken by polling the future.
    pub(crate) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let AcquireState::Waiting(wait) = &mut self.0 {
            let is_granted = ready!(Pin::new(&mut wait.granted).poll(cx)).is_ok();
            let permit = is_granted.then(|| Permit(Arc::clone(&wait.semaphore)));
            self.0 = AcquireState::Done(permit);
        }
        Poll::Ready(())
    }
}

impl Future for Acquire {
    type Output = Option<Permit>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Permit>> {
        ready!(self.poll_ready(cx));
        Poll::Ready(match &mut self.0 {
            AcquireState::Done(permit) => permit.take(),
            AcquireState::Waiting(_) => None,
        })
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        let has_left = self.semaphore.queue().leave(self.address, self.id);
        // Granted and then cancelled, before the grant was received.
        if !has_left && self.granted.try_recv().is_ok() {
            self.semaphore.release();
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.release();
    }
}

#[cfg(test)]
mod tests {
    use std::{net::IpAddr, sync::Arc};

    use futures::FutureExt as _;

    use super::FairSemaphore;
    use crate::peer::AddressGroup;

    fn semaphore(permits: usize, max_waiting: usize) -> Arc<FairSemaphore> {
        Arc::new(FairSemaphore::new(permits, max_waiting))
    }

    /// Returns an address by its last byte.
    fn address(last: u8) -> AddressGroup {
        AddressGroup::of(IpAddr::from([192, 0, 2, last]))
    }

    #[tokio::test]
    async fn addresses_take_turns() {
        let semaphore = semaphore(1, 64);
        let busy = semaphore.acquire(address(1)).await.unwrap();
        let mut waiting: Vec<_> = [1, 1, 1, 1, 2, 2, 3]
            .map(|last| (last, semaphore.acquire(address(last))))
            .into();
        for (_, waiter) in &mut waiting {
            assert!(waiter.now_or_never().is_none());
        }
        drop(busy);
        let mut turns = Vec::new();
        while !waiting.is_empty() {
            let mut ready = None;
            for (index, (_, waiter)) in waiting.iter_mut().enumerate() {
                if let Some(permit) = waiter.now_or_never() {
                    ready = Some((index, permit.unwrap()));
                    break;
                }
            }
            let (index, permit) = ready.unwrap();
            turns.push(waiting.remove(index).0);
            drop(permit);
        }
        assert_eq!(turns, [1, 2, 3, 1, 2, 1, 1]);
    }

    #[tokio::test]
    async fn full_queue_refuses_newest_of_largest_address() {
        let semaphore = semaphore(1, 4);
        let busy = semaphore.acquire(address(1)).await.unwrap();
        let mut of_one: Vec<_> = (0..4).map(|_| semaphore.acquire(address(1))).collect();
        for waiter in &mut of_one {
            assert!(waiter.now_or_never().is_none());
        }
        let mut others: Vec<_> = [2, 3].map(|last| semaphore.acquire(address(last))).into();
        for waiter in &mut others {
            assert!(waiter.now_or_never().is_none());
        }
        for waiter in of_one.drain(2..) {
            assert!(waiter.now_or_never().unwrap().is_none(), "it is displaced");
        }
        // Two, one and one wait: no address has so many that one of its waiters must go.
        assert!(semaphore.acquire(address(2)).await.is_none());
        let mut fourth = semaphore.acquire(address(4));
        assert!((&mut fourth).now_or_never().is_none());
        assert!(of_one.pop().unwrap().now_or_never().unwrap().is_none());
        drop((busy, of_one));
        for waiter in others {
            assert!(waiter.await.is_some());
        }
        assert!(fourth.await.is_some());
    }
}
