//! Turns of CPU work on the worker threads. Between two turns, a worker runs its other tasks and polls
//! the I/O driver.
//!
//! tokio polls the I/O driver when a worker has no ready task, or else after 61 of them. So without
//! turns, 61 tasks of several milliseconds delay the others by a fraction of a second.

use std::{
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, Wake, Waker, ready},
};

use tokio::{runtime::Handle, task::yield_now};

use crate::peer::{Acquire, AddressGroup, FairSemaphore, Permit};

/// A turn. Drop ends it: the permit is returned after this worker has polled the I/O driver again.
/// Otherwise many ready tasks could have their turns one after the other.
#[derive(Debug)]
pub(crate) struct Turn(Option<Permit>);

/// A waker that only holds a permit, until it is woken or dropped.
#[derive(Debug)]
struct Release {
    _permit: Permit,
}

/// A future that is polled in turns: each of its polls needs one, and the wait between two polls needs
/// none.
#[derive(Debug)]
pub(crate) struct PolledInTurns<F> {
    turns: Arc<FairSemaphore>,
    address: AddressGroup,
    wait: Option<Acquire>,
    future: F,
}

/// Returns a semaphore with one permit for each worker thread of the runtime.
pub(crate) fn one_for_each_worker() -> Arc<FairSemaphore> {
    let workers = Handle::try_current().map_or(1, |runtime| runtime.metrics().num_workers());
    Arc::new(FairSemaphore::new(workers, usize::MAX))
}

impl From<Permit> for Turn {
    fn from(permit: Permit) -> Self {
        Self(Some(permit))
    }
}

impl Turn {
    /// Ends the turn at once. The next one may follow before a poll of the I/O driver.
    pub(crate) fn end_now(mut self) {
        self.0 = None;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let Some(permit) = self.0.take() else { return };
        let release = Waker::from(Arc::new(Release { _permit: permit }));
        // Of all ways to be woken, only this one comes after a poll of the I/O driver. Outside a runtime
        // the waker is woken at once.
        let _ = pin!(yield_now()).poll(&mut Context::from_waker(&release));
    }
}

impl Wake for Release {
    fn wake(self: Arc<Self>) {}
}

impl<F> PolledInTurns<F> {
    pub(crate) fn new(turns: Arc<FairSemaphore>, address: AddressGroup, future: F) -> Self {
        Self {
            turns,
            address,
            wait: None,
            future,
        }
    }
}

impl<F: Future + Unpin> Future for PolledInTurns<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        let wait = this
            .wait
            .get_or_insert_with(|| this.turns.acquire(this.address));
        let permit = ready!(Pin::new(wait).poll(cx));
        this.wait = None;
        let _turn = permit.map(Turn::from);
        Pin::new(&mut this.future).poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::{pending, poll_fn},
        net::{IpAddr, Ipv4Addr},
        pin::pin,
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
        task::Poll,
    };

    use futures::{FutureExt as _, future::join_all};
    use tokio::{runtime, task::yield_now};
    use tokio_util::task::TaskTracker;

    use super::PolledInTurns;
    use crate::peer::{AddressGroup, FairSemaphore};

    const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn in_turns<F>(turns: &Arc<FairSemaphore>, future: F) -> PolledInTurns<F> {
        PolledInTurns::new(Arc::clone(turns), AddressGroup::of(ADDRESS), future)
    }

    /// Returns a future that is ready after this number of polls, and counts them.
    fn work(polls: usize, counter: Arc<AtomicUsize>) -> impl Future<Output = ()> + Unpin {
        let mut left = polls;
        poll_fn(move |cx| {
            counter.fetch_add(1, Ordering::Relaxed);
            left -= 1;
            if left == 0 {
                return Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        })
    }

    #[tokio::test]
    async fn other_tasks_run_between_turns() {
        let turns = Arc::new(FairSemaphore::new(2, usize::MAX));
        let (tasks, polls) = (TaskTracker::new(), Arc::<AtomicUsize>::default());
        for _ in 0..20 {
            tasks.spawn(in_turns(&turns, work(3, Arc::clone(&polls))));
        }
        let mut most = 0;
        let mut before = 0;
        while before < 60 {
            yield_now().await;
            let now = polls.load(Ordering::Relaxed);
            most = most.max(now - before);
            before = now;
        }
        assert_eq!(most, 2);
        yield_now().await;
        assert_eq!(turns.free_and_waiting(), (2, 0));
    }

    #[test]
    fn turns_of_many_workers_all_end() {
        for workers in [2, 4] {
            let runtime = runtime::Builder::new_multi_thread()
                .worker_threads(workers)
                .build()
                .unwrap();
            runtime.block_on(async {
                let turns = super::one_for_each_worker();
                assert_eq!(turns.free_and_waiting(), (workers, 0));
                let (tasks, polls) = (TaskTracker::new(), Arc::<AtomicUsize>::default());
                let work =
                    (0..200).map(|_| tasks.spawn(in_turns(&turns, work(50, Arc::clone(&polls)))));
                for done in join_all(work).await {
                    done.unwrap();
                }
                assert_eq!(polls.load(Ordering::Relaxed), 200 * 50);
                while turns.free_and_waiting() != (workers, 0) {
                    yield_now().await;
                }
            });
        }
    }

    #[tokio::test]
    async fn pending_future_holds_no_turn() {
        let turns = Arc::new(FairSemaphore::new(1, usize::MAX));
        let mut silent: Vec<_> = (0..10).map(|_| in_turns(&turns, pending::<()>())).collect();
        for silent in &mut silent {
            assert_eq!(silent.now_or_never(), None);
            yield_now().await;
        }
        assert_eq!(turns.free_and_waiting(), (1, 0));
    }

    #[tokio::test]
    async fn drop_leaves_queue_and_returns_turn() {
        let turns = Arc::new(FairSemaphore::new(1, usize::MAX));
        let held = turns.try_acquire().unwrap();
        let [mut first, mut second] = [(); 2].map(|()| in_turns(&turns, pending::<()>()));
        assert_eq!((&mut first).now_or_never(), None);
        assert_eq!((&mut second).now_or_never(), None);
        assert_eq!(turns.free_and_waiting(), (0, 2));
        drop(second);
        assert_eq!(turns.free_and_waiting(), (0, 1));
        // Granted, but not polled any more.
        drop(held);
        drop(first);
        assert_eq!(turns.free_and_waiting(), (1, 0));
        // Without a runtime the turn ends at once.
        let _ = std::thread::scope(|scope| {
            let turn = scope.spawn(|| pin!(in_turns(&turns, pending::<()>())).now_or_never());
            turn.join()
        });
        assert_eq!(turns.free_and_waiting(), (1, 0));
    }
}
