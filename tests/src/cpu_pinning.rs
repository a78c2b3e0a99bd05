//! Which pinning a program runs on.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The two processors that a benchmark uses: one for the server that is measured, one for what
/// loads it, so that neither takes time from the other.
#[derive(Debug, Clone, Copy)]
pub struct CpuPinning {
    server: usize,
    load: usize,
}

impl CpuPinning {
    /// The first two processors that this program may use.
    pub fn first_two_cpus() -> Self {
        let allowed = sched_getaffinity(None).expect("a thread may ask where it runs");
        let mut each = (0..CpuSet::MAX_CPU).filter(|&processor| allowed.is_set(processor));
        let two = each.next().zip(each.next());
        let (server, load) = two.expect("a benchmark needs two pinning");
        Self { server, load }
    }

    /// From now on this thread, and what it starts, runs where servers are measured.
    pub fn pin_server(self) {
        pin(self.server);
    }

    /// From now on this thread, and what it starts, runs where the load comes from.
    pub fn pin_load(self) {
        pin(self.load);
    }
}

fn pin(processor: usize) {
    let mut set = CpuSet::new();
    set.set(processor);
    sched_setaffinity(None, &set).expect("a thread may choose among its pinning");
}
