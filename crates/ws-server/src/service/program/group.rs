//! The process group of a program, from its start until its leader is reaped.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::service::program::{
    exit::ProgramExit,
    leaders::{ExitCell, Leaders},
    slots::ProcessSlot,
};

/// A process group. Its leader is reaped after the last signal: until then, no other group can have its
/// number. Dropping it kills the group.
#[derive(Debug)]
pub(super) struct ProcessGroup {
    leader: Pid,
    exit: Arc<ExitCell>,
    leaders: Arc<Leaders>,
    /// `None` once the group is dropped.
    slot: Option<ProcessSlot>,
}

impl ProcessGroup {
    /// Takes over a group whose leader is in `leaders`.
    pub(super) fn new(
        leader: Pid,
        exit: Arc<ExitCell>,
        leaders: Arc<Leaders>,
        slot: ProcessSlot,
    ) -> Self {
        Self {
            leader,
            exit,
            leaders,
            slot: Some(slot),
        }
    }

    /// Sends a signal to all processes of the group.
    pub(super) fn signal(&self, signal: Signal) {
        // The group exists, because its leader is not reaped. The server may lack the right to signal a
        // process that has changed its user.
        let _ = kill_process_group(self.leader, signal);
    }

    /// Returns the end of the leader.
    pub(super) fn poll_exit(&self, cx: &mut Context<'_>) -> Poll<ProgramExit> {
        self.exit.poll(cx)
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
        if let Some(slot) = self.slot.take() {
            self.leaders.abandon(self.leader, slot);
        }
    }
}
