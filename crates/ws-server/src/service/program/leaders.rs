//! The leaders of all process groups, and the end of child processes.
//!
//! The kernel reports ended children by SIGCHLD. An ended leader stays in the process table until its
//! group is dropped, so that its number is not used again. The descriptor of a process (`pidfd`) was
//! refused: waiting for one needs unsafe code.

use std::{
    collections::HashMap,
    convert::Infallible,
    fs, io,
    process::Child,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use futures::task::AtomicWaker;
use rustix::process::{Pid, WaitId, WaitIdOptions, set_child_subreaper, waitid};
use tokio::signal::unix::Signal;

use crate::service::program::{exit::ProgramExit, slots::ProcessSlot};

/// The leaders of all process groups that are not reaped.
#[derive(Debug, Default)]
pub(super) struct Leaders {
    by_pid: Mutex<HashMap<Pid, Leader>>,
    /// Held while a process starts, which may take long. Until it is a leader, it looks like an orphan.
    starting: Mutex<()>,
    /// This process adopts orphans: processes whose parent has ended before them.
    adopts_orphans: AtomicBool,
}

#[derive(Debug, Default)]
struct Leader {
    exit: Arc<ExitCell>,
    /// The place of a program whose group was killed. It is free when the leader is reaped.
    abandoned: Option<ProcessSlot>,
}

/// The end of a leader, once it has ended.
#[derive(Debug, Default)]
pub(super) struct ExitCell {
    exit: OnceLock<ProgramExit>,
    waker: AtomicWaker,
}

impl ExitCell {
    /// Returns the end. Only the last caller is woken.
    pub(super) fn poll(&self, cx: &mut Context<'_>) -> Poll<ProgramExit> {
        if self.exit.get().is_none() {
            self.waker.register(cx.waker());
        }
        // Checked after the waker was registered: the end may have come in between.
        self.exit.get().copied().map_or(Poll::Pending, Poll::Ready)
    }

    /// Notes the end of the leader, if it has ended. It is not reaped.
    fn look(&self, leader: Pid) {
        if self.exit.get().is_some() {
            return;
        }
        let exit = match waitid(WaitId::Pid(leader), ENDED | WaitIdOptions::NOWAIT) {
            Ok(None) => return,
            Ok(Some(status)) => ProgramExit::of(&status),
            // Other code of this process has reaped it.
            Err(_) => None,
        };
        let _ = self.exit.set(exit.unwrap_or(ProgramExit::Code(0)));
        self.waker.wake();
    }
}

/// Asks for an ended child, and does not wait for one.
const ENDED: WaitIdOptions = WaitIdOptions::EXITED.union(WaitIdOptions::NOHANG);

/// Removes a child from the process table. Returns false if it has not ended.
fn reap(child: Pid) -> bool {
    !matches!(waitid(WaitId::Pid(child), ENDED), Ok(None))
}

impl Leaders {
    /// Adds the leader of the group that `start` starts. Also returns its end.
    ///
    /// # Errors
    ///
    /// The error of `start`.
    pub(super) fn start(
        &self,
        start: impl FnOnce() -> io::Result<Child>,
    ) -> io::Result<(Child, Pid, Arc<ExitCell>)> {
        let starting = self.starting.lock().unwrap_or_else(PoisonError::into_inner);
        let started = start().map(|child| {
            let leader = Pid::from_child(&child);
            let exit = Arc::clone(&self.locked().entry(leader).or_default().exit);
            (child, leader, exit)
        });
        drop(starting);
        // Orphans that have ended meanwhile were left out.
        self.look();
        started
    }

    /// Makes this process the parent of all orphans of its programs, which it reaps.
    ///
    /// # Errors
    ///
    /// The kernel refuses it.
    pub(super) fn adopt_orphans(&self) -> io::Result<()> {
        // Any process id turns it on.
        set_child_subreaper(Some(Pid::INIT))?;
        self.adopts_orphans.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Reaps the leader of a group that was killed, at once or when it has ended.
    pub(super) fn abandon(&self, leader: Pid, slot: ProcessSlot) {
        let mut leaders = self.locked();
        if reap(leader) {
            leaders.remove(&leader);
        } else if let Some(leader) = leaders.get_mut(&leader) {
            leader.abandoned = Some(slot);
        }
    }

    /// Follows the ends of children. Never returns.
    pub(super) async fn watch(self: Arc<Self>, mut child_ended: Signal) -> Infallible {
        loop {
            child_ended.recv().await;
            self.look();
        }
    }

    fn look(&self) {
        let mut leaders = self.locked();
        leaders.retain(|leader, state| {
            state.exit.look(*leader);
            state.abandoned.is_none() || !reap(*leader)
        });
        if self.adopts_orphans.load(Ordering::Relaxed)
            && let Ok(_not_starting) = self.starting.try_lock()
        {
            // Without the files in `/proc`, orphans stay in the process table.
            let children = children().unwrap_or_default().into_iter();
            for orphan in children.filter(|child| !leaders.contains_key(child)) {
                reap(orphan);
            }
        }
    }

    fn locked(&self) -> MutexGuard<'_, HashMap<Pid, Leader>> {
        // A panic while the lock was held cannot have left an entry half there.
        self.by_pid.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the children of all threads of this process.
fn children() -> io::Result<Vec<Pid>> {
    let mut children = Vec::new();
    for thread in fs::read_dir("/proc/self/task")? {
        // A thread may have ended meanwhile.
        let listed = fs::read_to_string(thread?.path().join("children")).unwrap_or_default();
        let pids = listed.split_ascii_whitespace();
        children.extend(pids.filter_map(|pid| Pid::from_raw(pid.parse().ok()?)));
    }
    Ok(children)
}
