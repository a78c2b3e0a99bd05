//! The message and byte counters of a session, readable from other tasks.

use std::{
    iter::Sum,
    ops::Add,
    sync::atomic::{AtomicU64, Ordering},
};

/// The messages and payload bytes of one session, or of several.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct TrafficCounts {
    /// Messages received.
    pub messages_in: u64,
    /// Payload bytes received.
    pub bytes_in: u64,
    /// Messages queued for sending.
    pub messages_out: u64,
    /// Payload bytes queued for sending.
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

/// The counters of one session. Only its own task writes them; any task may read.
#[derive(Debug, Default)]
pub(crate) struct SessionCounters {
    messages_in: AtomicU64,
    bytes_in: AtomicU64,
    messages_out: AtomicU64,
    bytes_out: AtomicU64,
}

impl SessionCounters {
    /// Counts a received message of this length.
    pub(crate) fn received(&self, len: usize) {
        add(&self.messages_in, 1);
        add(&self.bytes_in, len as u64);
    }

    /// Counts a message of this length that was queued for sending.
    pub(crate) fn sent(&self, len: usize) {
        add(&self.messages_out, 1);
        add(&self.bytes_out, len as u64);
    }

    /// Returns the counts so far.
    pub(crate) fn counts(&self) -> TrafficCounts {
        TrafficCounts {
            messages_in: self.messages_in.load(Ordering::Relaxed),
            bytes_in: self.bytes_in.load(Ordering::Relaxed),
            messages_out: self.messages_out.load(Ordering::Relaxed),
            bytes_out: self.bytes_out.load(Ordering::Relaxed),
        }
    }
}

/// Adds to a counter that has a single writer, so that it costs no more than a plain addition.
fn add(counter: &AtomicU64, more: u64) {
    counter.store(counter.load(Ordering::Relaxed) + more, Ordering::Relaxed);
}
