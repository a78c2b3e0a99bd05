//! The bounded queue of texts that other tasks push into a session.

use std::{
    collections::VecDeque,
    mem,
    num::NonZeroUsize,
    ops::AddAssign,
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
};

use serde::{Deserialize, Serialize};
use tokio::{
    sync::mpsc::Sender,
    time::{Duration, Instant},
};

use crate::{
    message::Text,
    registry::progress::{ProgressMark, WriteProgress},
};

/// The capacity, in texts, that an emptied queue keeps. It releases the rest.
const RETAINED_TEXTS: usize = 64;

/// The time in which a reader whose socket is blocked must make progress.
///
/// A socket accepts bytes in jumps of at least [`MIN_PROGRESS_BYTES`]. Up to 128 KiB must leave the send
/// buffer before it is writable again, and the peer's system announces a new window in steps of up to
/// 400 KiB (a sixteenth of a receive buffer of 6 MiB). A steady reader of 100 kB/s takes that in 5.4 s,
/// so each window of 6 s has a jump.
const PROGRESS_WINDOW: Duration = Duration::from_secs(6);

/// The number of bytes that count as progress in that time.
const MIN_PROGRESS_BYTES: u64 = 64 * 1024;

/// The bounds of a session's queue, and the policy for a reader that makes no progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutboxPolicy {
    /// The number of texts at which the queue is full.
    pub max_texts: NonZeroUsize,
    /// The number of bytes at which the queue is full. The last text may exceed it.
    pub max_bytes: NonZeroUsize,
    /// The policy for a full queue whose reader makes no progress.
    pub overflow: OverflowPolicy,
}

/// The policy for a full queue whose reader makes no progress.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum OverflowPolicy {
    /// Ends the session with close code 1013.
    #[default]
    Evict,
    /// Drops the oldest texts, and reports their number to the reader.
    DropOldest,
}

/// The consequences of pushes into full queues.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct DropCounts {
    /// The number of readers evicted.
    pub evicted: u64,
    /// The number of texts dropped.
    pub dropped: u64,
}

impl AddAssign for DropCounts {
    fn add_assign(&mut self, other: Self) {
        self.evicted += other.evicted;
        self.dropped += other.dropped;
    }
}

/// An item taken out of a queue.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Pushed {
    /// The oldest text.
    Text(Text),
    /// The number of texts dropped before the oldest one.
    Lost(u64),
}

/// The queue of a session. The first push allocates it: most sessions never get one.
#[derive(Debug, Default)]
pub(crate) struct PushQueue(OnceLock<Box<Mutex<PendingTexts>>>);

#[derive(Debug, Default)]
struct PendingTexts {
    texts: VecDeque<QueuedText>,
    bytes: usize,
    /// The number of texts dropped after the last one of the queue.
    lost: u64,
    /// Set from when the queue is full until half of it is free.
    full: Option<FullQueue>,
    /// The current window. It ends when the reader has taken everything.
    window: Option<ProgressWindow>,
    /// The reader is leaving. No publisher waits for it again.
    is_abandoned: bool,
    /// The reader has ended. Texts are dropped.
    is_closed: bool,
}

#[derive(Debug)]
struct QueuedText {
    /// The number of texts dropped before this one.
    lost: u64,
    text: Text,
}

/// The state of a full queue.
#[derive(Debug)]
struct FullQueue {
    /// The moment from which the queue was full.
    since: ProgressMark,
    /// The numbers of texts and bytes at which the queue has room again. They are half the bounds, so
    /// that a waiting publisher can send many texts at a time.
    resume_at: (usize, usize),
    /// Held for a publisher that waits for room.
    waiting: Option<Sender<()>>,
}

/// A window in which a reader whose socket is blocked must make progress.
#[derive(Debug)]
struct ProgressWindow {
    start: ProgressMark,
    /// The reader made no progress in the window before. Publishers do not wait for it in this one.
    is_stalled: bool,
}

/// The result of a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Push {
    /// The text is in the queue, or was dropped.
    Queued {
        /// The number of dropped texts.
        dropped: u64,
        /// The queue was empty, so its reader may have to be woken.
        was_empty: bool,
        /// The queue is full now.
        is_full: bool,
    },
    /// The queue is full, and the policy evicts its reader.
    Full,
}

impl Push {
    /// The result for a reader that has ended.
    const IGNORED: Self = Self::Queued {
        dropped: 0,
        was_empty: false,
        is_full: false,
    };
}

impl PendingTexts {
    fn reaches(&self, policy: OutboxPolicy) -> bool {
        self.texts.len() >= policy.max_texts.get() || self.bytes >= policy.max_bytes.get()
    }

    fn append(&mut self, text: Text, policy: OutboxPolicy, progress: &WriteProgress) {
        self.bytes += text.len();
        let lost = mem::take(&mut self.lost);
        self.texts.push_back(QueuedText { lost, text });
        if self.full.is_none() && self.reaches(policy) {
            self.full = Some(FullQueue {
                since: ProgressMark {
                    at: Instant::now(),
                    written: progress.load().written,
                },
                resume_at: (policy.max_texts.get() / 2, policy.max_bytes.get() / 2),
                waiting: None,
            });
        }
    }

    fn remove_oldest(&mut self) -> Option<QueuedText> {
        let oldest = self.texts.pop_front()?;
        self.bytes -= oldest.text.len();
        Some(oldest)
    }

    /// Removes the oldest text for the reader. The queue has room again if half of it is free.
    fn take_oldest(&mut self) -> Option<Text> {
        let oldest = self.remove_oldest()?;
        let (len, bytes) = (self.texts.len(), self.bytes);
        self.full
            .take_if(|full| len <= full.resume_at.0 && bytes <= full.resume_at.1);
        Some(oldest.text)
    }

    /// Drops the oldest text. The queue stays full for publishers, because its reader took nothing.
    /// Returns false if there is none.
    fn drop_oldest(&mut self) -> bool {
        let Some(oldest) = self.remove_oldest() else {
            return false;
        };
        let lost = match self.texts.front_mut() {
            Some(next) => &mut next.lost,
            None => &mut self.lost,
        };
        *lost += oldest.lost + 1;
        true
    }

    /// Takes the number of texts dropped before the oldest one, or after the last one.
    fn take_lost(&mut self) -> u64 {
        match self.texts.front_mut() {
            Some(oldest) => mem::take(&mut oldest.lost),
            None => mem::take(&mut self.lost),
        }
    }

    /// Returns the time until which a publisher should wait before it asks again. Returns `None` if
    /// the queue has room, or if its reader is leaving or stalled: the socket is blocked, and accepted
    /// too little in a window.
    fn awaited_until(&mut self, progress: &WriteProgress) -> Option<Instant> {
        let full = self.full.as_mut().filter(|_| !self.is_abandoned)?;
        let now = Instant::now();
        let progress = progress.load();
        let window = match (&mut self.window, progress.blocked_since) {
            (Some(window), _) => window,
            // The reader's task had no turn yet.
            (None, None) => return Some(now + PROGRESS_WINDOW),
            (None, Some(blocked)) => {
                let start = if blocked.at > full.since.at {
                    blocked
                } else {
                    full.since
                };
                self.window.insert(ProgressWindow {
                    start,
                    is_stalled: false,
                })
            }
        };
        if now >= window.start.at + PROGRESS_WINDOW {
            if progress.blocked_since.is_none() {
                self.window = None;
                return Some(now + PROGRESS_WINDOW);
            }
            let written = progress.written;
            window.is_stalled = written.saturating_sub(window.start.written) < MIN_PROGRESS_BYTES;
            window.start = ProgressMark { at: now, written };
        }
        if window.is_stalled {
            full.waiting = None;
            return None;
        }
        Some(window.start.at + PROGRESS_WINDOW)
    }
}

impl PushQueue {
    /// Appends a text. If the queue is full, drops older texts or reports it, as the policy says.
    pub(crate) fn push(&self, text: Text, policy: OutboxPolicy, progress: &WriteProgress) -> Push {
        let mut pending = self.get_or_make();
        if pending.is_closed {
            return Push::IGNORED;
        }
        if pending.reaches(policy) && policy.overflow == OverflowPolicy::Evict {
            return Push::Full;
        }
        let mut dropped = 0;
        while pending.reaches(policy) && pending.drop_oldest() {
            dropped += 1;
        }
        let was_empty = pending.texts.is_empty();
        pending.append(text, policy, progress);
        Push::Queued {
            dropped,
            was_empty,
            is_full: pending.full.is_some(),
        }
    }

    /// Appends a text, or drops it if the queue is full.
    pub(crate) fn push_or_drop(
        &self,
        text: Text,
        policy: OutboxPolicy,
        progress: &WriteProgress,
    ) -> Push {
        let mut pending = self.get_or_make();
        if pending.is_closed {
            return Push::IGNORED;
        }
        let has_room = !pending.reaches(policy);
        let was_empty = pending.texts.is_empty();
        if has_room {
            pending.append(text, policy, progress);
        } else {
            pending.lost += 1;
        }
        Push::Queued {
            dropped: u64::from(!has_room),
            was_empty,
            is_full: pending.full.is_some(),
        }
    }

    /// Takes the next item out, if there is one.
    pub(crate) fn pop(&self) -> Option<Pushed> {
        let mut pending = lock(self.0.get()?);
        let lost = pending.take_lost();
        if lost > 0 {
            return Some(Pushed::Lost(lost));
        }
        let Some(text) = pending.take_oldest() else {
            pending.window = None;
            return None;
        };
        if pending.texts.is_empty() {
            pending.texts.shrink_to(RETAINED_TEXTS);
        }
        Some(Pushed::Text(text))
    }

    /// Returns the time until which a publisher should wait for room before it asks again. Returns
    /// `None` if the queue has room, or if its reader is leaving or stalled.
    pub(crate) fn awaited_until(&self, progress: &WriteProgress) -> Option<Instant> {
        lock(self.0.get()?).awaited_until(progress)
    }

    /// Keeps a sender for a waiting publisher, until the queue has room or its reader is leaving or
    /// stalled.
    pub(crate) fn keep(&self, sender: &Sender<()>) {
        if let Some(pending) = self.0.get() {
            let mut pending = lock(pending);
            if !pending.is_abandoned
                && let Some(full) = &mut pending.full
            {
                full.waiting = Some(sender.clone());
            }
        }
    }

    /// Ends the wait of a publisher, for good, because the reader is leaving.
    pub(crate) fn abandon(&self) {
        if let Some(pending) = self.0.get() {
            let mut pending = lock(pending);
            pending.is_abandoned = true;
            pending.full = None;
        }
    }

    /// Drops all texts and takes no more, because the reader has ended.
    pub(crate) fn close(&self) {
        self.abandon();
        if let Some(pending) = self.0.get() {
            let mut pending = lock(pending);
            pending.is_closed = true;
            pending.bytes = 0;
            let texts = mem::take(&mut pending.texts);
            drop(pending);
            drop(texts);
        }
    }

    /// Returns the bytes of the texts.
    pub(crate) fn bytes(&self) -> usize {
        self.0.get().map_or(0, |pending| lock(pending).bytes)
    }

    fn get_or_make(&self) -> MutexGuard<'_, PendingTexts> {
        lock(self.0.get_or_init(Box::default))
    }
}

fn lock(pending: &Mutex<PendingTexts>) -> MutexGuard<'_, PendingTexts> {
    // A panic while the lock was held cannot have left a text half in the queue.
    pending.lock().unwrap_or_else(PoisonError::into_inner)
}
