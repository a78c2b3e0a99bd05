//! The programs of all sessions: their start and their counts.

use std::{
    io,
    os::{fd::OwnedFd, unix::process::CommandExt as _},
    process::{Command, Stdio},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread,
};

use futures::channel::oneshot;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::task::AbortOnDropHandle;

use crate::service::program::{
    exit::ProgramExit,
    group::ProcessGroup,
    leaders::Leaders,
    slots::{ProcessSlot, ProcessSlots},
    stderr::StderrLimit,
};

/// The programs of all sessions of a server.
#[derive(Debug, Default)]
pub struct Programs {
    slots: Arc<ProcessSlots>,
    leaders: Arc<Leaders>,
    /// The tasks that programs need, once there was one.
    starter: OnceLock<Starter>,
    stderr_limit: StderrLimit,
    exits: ExitCounts,
}

/// The programs that have ended while their session was open, since the start.
#[derive(Debug, Default)]
struct ExitCounts {
    success: AtomicU64,
    failure: AtomicU64,
    signal: AtomicU64,
}

/// The counts of programs at one moment.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct ProgramStats {
    /// Programs that run.
    pub running: usize,
    /// Programs that ended before their session, with exit code 0.
    pub success: u64,
    /// Programs that ended before their session, with another exit code.
    pub failure: u64,
    /// Programs that a signal ended before their session.
    pub signal: u64,
    /// Lines of stderr that were not logged.
    pub stderr_lines_dropped: u64,
}

/// The thread that starts processes, and the task that follows their ends.
#[derive(Debug)]
struct Starter {
    requests: mpsc::Sender<StartRequest>,
    _watch: AbortOnDropHandle<()>,
}

/// A process to start.
struct StartRequest {
    command: Command,
    slot: ProcessSlot,
    leaders: Arc<Leaders>,
    reply: oneshot::Sender<io::Result<Started>>,
}

/// A process that was started, with its pipes. Dropping it kills the process.
#[derive(Debug)]
pub(super) struct Started {
    /// The group that the process leads.
    pub(super) group: ProcessGroup,
    /// Its stdin.
    pub(super) stdin: OwnedFd,
    /// Its stdout.
    pub(super) stdout: OwnedFd,
    /// Its stderr.
    pub(super) stderr: OwnedFd,
}

impl Programs {
    /// Returns the counts.
    pub fn stats(&self) -> ProgramStats {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ProgramStats {
            running: self.slots.taken(),
            success: count(&self.exits.success),
            failure: count(&self.exits.failure),
            signal: count(&self.exits.signal),
            stderr_lines_dropped: self.stderr_limit.dropped(),
        }
    }

    /// Makes this process the parent of all orphans of its programs. From then on, it reaps each child
    /// that is not a program itself, so it must have no other children.
    ///
    /// # Errors
    ///
    /// The kernel refuses it.
    pub fn adopt_orphans(&self) -> io::Result<()> {
        self.leaders.adopt_orphans()
    }

    /// Returns the limit on logged lines of stderr.
    pub(super) fn stderr_limit(&self) -> &StderrLimit {
        &self.stderr_limit
    }

    /// Counts the end of a program whose session is open.
    pub(super) fn count_exit(&self, exit: ProgramExit) {
        let counter = match exit {
            ProgramExit::Code(0) => &self.exits.success,
            ProgramExit::Code(_) => &self.exits.failure,
            ProgramExit::Signal(_) => &self.exits.signal,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns a place among the processes of a route, or `None` if it has as many as it may.
    pub(super) fn slot(&self, route: &str, max_processes: usize) -> Option<ProcessSlot> {
        self.slots.take(route, max_processes)
    }

    /// Starts a process in a group of its own. Dropping the future kills the process.
    ///
    /// # Errors
    ///
    /// The process, its pipes or the thread that starts it cannot be created.
    pub(super) async fn start(&self, command: Command, slot: ProcessSlot) -> io::Result<Started> {
        let (reply, started) = oneshot::channel();
        let request = StartRequest {
            command,
            slot,
            leaders: Arc::clone(&self.leaders),
            reply,
        };
        let ended = || io::Error::other("the thread that starts programs has ended");
        let requests = &self.starter()?.requests;
        requests.send(request).map_err(|_| ended())?;
        started.await.map_err(|_| ended())?
    }

    /// Returns the thread that starts processes. A start blocks for about a millisecond.
    fn starter(&self) -> io::Result<&Starter> {
        if let Some(starter) = self.starter.get() {
            return Ok(starter);
        }
        // Registered before the first process starts, so that no end is missed.
        let child_ended = signal(SignalKind::child())?;
        let watch = Arc::clone(&self.leaders).watch(child_ended);
        #[expect(clippy::disallowed_methods, reason = "the programs abort the task")]
        let watch = tokio::spawn(async move { match watch.await {} });
        let (requests, received) = mpsc::channel::<StartRequest>();
        let thread = thread::Builder::new().name("programs".to_owned());
        thread.spawn(move || received.into_iter().for_each(StartRequest::serve))?;
        // Of two that were created at once, one ends again.
        Ok(self.starter.get_or_init(|| Starter {
            requests,
            _watch: AbortOnDropHandle::new(watch),
        }))
    }
}

impl StartRequest {
    fn serve(self) {
        if self.reply.is_canceled() {
            return;
        }
        let started = start(self.command, self.slot, self.leaders);
        // Without a receiver, the process is dropped and so killed.
        let _ = self.reply.send(started);
    }
}

fn start(mut command: Command, slot: ProcessSlot, leaders: Arc<Leaders>) -> io::Result<Started> {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    let (mut child, leader, exit) = leaders.start(|| command.spawn())?;
    let group = ProcessGroup::new(leader, exit, leaders, slot);
    let missing = || io::Error::other("a stream is not piped");
    Ok(Started {
        group,
        stdin: child.stdin.take().ok_or_else(missing)?.into(),
        stdout: child.stdout.take().ok_or_else(missing)?.into(),
        stderr: child.stderr.take().ok_or_else(missing)?.into(),
    })
}
