//! The detection of a dead network: pings after a silence, and a time limit for anything to arrive.

use std::time::Duration;

use tokio::time::Instant;

use crate::config::PingTimes;

/// An action that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PingAction {
    /// A ping is sent.
    Ping,
    /// Nothing arrived after the ping.
    Lost,
}

/// The timer of pings. Any received byte is a sign of life.
#[derive(Debug)]
pub(super) struct PingTimer {
    times: PingTimes,
    /// The number of bytes that were received at `heard`.
    received: u64,
    heard: Instant,
    pinged: Option<Instant>,
}

impl PingTimer {
    pub(super) fn new(times: PingTimes) -> Self {
        Self {
            times,
            received: 0,
            heard: Instant::now(),
            pinged: None,
        }
    }

    /// Records the number of bytes that were received so far.
    pub(super) fn note_received(&mut self, received: u64) {
        if received != self.received {
            self.received = received;
            self.restart();
        }
    }

    /// Begins a new silence. A server that is not read is not silent.
    pub(super) fn restart(&mut self) {
        self.heard = Instant::now();
        self.pinged = None;
    }

    /// Returns true if a ping was sent, and nothing arrived since.
    pub(super) fn is_pinged(&self) -> bool {
        self.pinged.is_some()
    }

    /// Returns the time of the next action.
    pub(super) fn due(&self) -> Instant {
        match self.pinged {
            None => self.heard + self.times.interval,
            Some(pinged) => pinged + self.times.timeout,
        }
    }

    /// Returns the action that is due, and records it.
    pub(super) fn act(&mut self) -> PingAction {
        match self.pinged {
            None => {
                self.pinged = Some(Instant::now());
                PingAction::Ping
            }
            Some(_) => PingAction::Lost,
        }
    }

    /// Returns the time in which anything must arrive after a ping.
    pub(super) fn timeout(&self) -> Duration {
        self.times.timeout
    }
}
