//! CPU affinity of the benchmarks.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The two CPUs of a benchmark: one for the server, and one for the load. So neither takes time
/// from the other.
#[derive(Debug, Clone, Copy)]
pub struct CpuPinning {
    server: usize,
    load: usize,
}

impl CpuPinning {
    /// Returns the first two CPUs that this process may use.
    pub fn first_two_cpus() -> Self {
        let allowed = sched_getaffinity(None).expect("the affinity can be read");
        let mut each = (0..CpuSet::MAX_CPU).filter(|&processor| allowed.is_set(processor));
        let two = each.next().zip(each.next());
        let (server, load) = two.expect("a benchmark needs two CPUs");
        Self { server, load }
    }

    /// Pins this thread, and the processes that it starts, to the server's CPU.
    pub fn pin_server(self) {
        pin(self.server);
    }

    /// Pins this thread, and the processes that it starts, to the load's CPU.
    pub fn pin_load(self) {
        pin(self.load);
    }
}

fn pin(processor: usize) {
    let mut set = CpuSet::new();
    set.set(processor);
    sched_setaffinity(None, &set).expect("the affinity can be set");
}
