//! What goes through a session, counted where others can read it.

use std::{
    iter::Sum,
    ops::Add,
    sync::atomic::{AtomicU64, Ordering},
};

/// What went through a session, or through several.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct TrafficCounts {
    /// Messages that came.
    pub messages_in: u64,
    /// Bytes of payload that came.
    pub bytes_in: u64,
    /// Messages that were queued to go.
    pub messages_out: u64,
    /// Bytes of payload that were queued to go.
    pub bytes_out: u64,
}

impl Add for TrafficCounts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            messages_in: self.messages_in + other.messages_in,
            bytes_in: self.bytes_in + other.bytes_in,
            messages_out: self.messages_out + other.messages_out,
            bytes_out: self.bytes_out + other.bytes_out,
        }
    }
}

impl Sum for TrafficCounts {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        counts.fold(Self::default(), Add::add)
    }
}

/// The counters of one session. Its own task counts, and nobody else; anybody may read.
#[derive(Debug, Default)]
pub(crate) struct SessionCounters {
    messages_in: AtomicU64,
    bytes_in: AtomicU64,
    messages_out: AtomicU64,
    bytes_out: AtomicU64,
}

impl SessionCounters {
    /// A message of this length came.
    pub(crate) fn received(&self, len: usize) {
        add(&self.messages_in, 1);
        add(&self.bytes_in, len as u64);
    }

    /// A message of this length was queued to go.
    pub(crate) fn sent(&self, len: usize) {
        add(&self.messages_out, 1);
        add(&self.bytes_out, len as u64);
    }

    /// What was counted so far.
    pub(crate) fn counts(&self) -> TrafficCounts {
        TrafficCounts {
            messages_in: self.messages_in.load(Ordering::Relaxed),
            bytes_in: self.bytes_in.load(Ordering::Relaxed),
            messages_out: self.messages_out.load(Ordering::Relaxed),
            bytes_out: self.bytes_out.load(Ordering::Relaxed),
        }
    }
}

/// Adds to a counter that nobody else writes: it costs no more than to add to a plain number.
fn add(counter: &AtomicU64, more: u64) {
    counter.store(counter.load(Ordering::Relaxed) + more, Ordering::Relaxed);
}
