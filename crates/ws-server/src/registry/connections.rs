//! The open connections and their entries, by which other tasks end them.

use std::{
    cmp::Reverse,
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Poll, Waker},
    time::Instant,
};

use futures::task::AtomicWaker;
use proto::close::CloseReason;

use crate::{
    access::{Grant, Principal},
    peer::{ConnectionId, Peer},
    registry::{
        budget::{BufferBudget, EvictionCause},
        counters::{SessionCounters, TrafficCounts},
        holding::{HeldBytes, Holding},
        progress::WriteProgress,
        queue::PushQueue,
    },
};

/// A peer that was admitted.
#[derive(Debug)]
pub(crate) struct Admitted {
    /// The principal, and the route that its access depends on.
    pub(crate) grant: Grant,
    /// The path of the request.
    pub(crate) path: Arc<str>,
    /// The time of the admission.
    pub(crate) since: Instant,
}

/// The entry of one open connection, by which other tasks reach it.
#[derive(Debug)]
pub(crate) struct ConnectionEntry {
    /// The peer.
    peer: Peer,
    /// The reason to end the connection. The first one set is final.
    end: OnceLock<CloseReason>,
    /// Set once, when the peer is admitted.
    admitted: OnceLock<Admitted>,
    /// The counters of the session.
    counters: SessionCounters,
    /// The texts that other tasks push into the session.
    queue: PushQueue,
    /// The progress of its writes.
    progress: WriteProgress,
    /// The bytes that the server holds for the peer.
    holding: Holding,
    waker: AtomicWaker,
}

impl ConnectionEntry {
    /// Creates the entry of a connection with this peer.
    pub(crate) fn new(peer: Peer) -> Self {
        Self {
            peer,
            end: OnceLock::new(),
            admitted: OnceLock::new(),
            counters: SessionCounters::default(),
            queue: PushQueue::default(),
            progress: WriteProgress::default(),
            holding: Holding::default(),
            waker: AtomicWaker::new(),
        }
    }

    /// Returns the peer.
    pub(crate) fn peer(&self) -> Peer {
        self.peer
    }

    /// Records the admission of the peer. Afterwards a revocation of the grant ends the connection.
    pub(crate) fn admit(&self, grant: Grant, path: Arc<str>) -> &Grant {
        // A connection is admitted once.
        let admitted = self.admitted.get_or_init(|| Admitted {
            grant,
            path,
            since: Instant::now(),
        });
        &admitted.grant
    }

    /// Returns the admission, if there was one.
    pub(crate) fn admitted(&self) -> Option<&Admitted> {
        self.admitted.get()
    }

    /// Returns the counters of the session.
    pub(crate) fn counters(&self) -> &SessionCounters {
        &self.counters
    }

    /// Requests the end of the connection and wakes its task. Returns false if an earlier reason was
    /// set.
    pub(crate) fn end(&self, reason: CloseReason) -> bool {
        let is_first = self.end.set(reason).is_ok();
        self.waker.wake();
        is_first
    }

    /// Returns the queue of texts that other tasks push into the session.
    pub(crate) fn queue(&self) -> &PushQueue {
        &self.queue
    }

    /// Returns the progress of the session's writes.
    pub(crate) fn progress(&self) -> &WriteProgress {
        &self.progress
    }

    /// Returns the bytes that the server holds for the peer.
    pub(crate) fn holding(&self) -> &Holding {
        &self.holding
    }

    /// Asks the session to give its bytes back. A reader with a queue has to end, and its queue is
    /// emptied at once.
    fn demand(&self, cause: EvictionCause, budget: &BufferBudget) {
        self.holding.demand(cause, budget);
        if self.queue.bytes() > 0 && self.ended().is_none() {
            self.holding.count_eviction(cause, budget);
            self.end(CloseReason::BuffersFull);
            self.queue.close();
        }
        self.waker.wake();
    }

    /// Ready when the connection must be dropped without a closing handshake.
    pub(crate) fn poll_dropped(&self, waker: &Waker) -> Poll<()> {
        self.waker.register(waker);
        if self.holding.must_drop() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }

    /// Takes a text out of the queue, as a session does.
    #[cfg(test)]
    pub(crate) fn pushed(&self) -> Option<String> {
        match self.queue.pop()? {
            crate::registry::Pushed::Text(text) => Some(text.to_string()),
            crate::registry::Pushed::Lost(texts) => Some(format!("{texts} lost")),
        }
    }

    /// Wakes the task of the session.
    pub(crate) fn wake(&self) {
        self.waker.wake();
    }

    /// Returns the reason to end the connection, if there is one.
    pub(crate) fn ended(&self) -> Option<CloseReason> {
        self.end.get().copied()
    }

    /// Like [`ConnectionEntry::ended`]; the task is woken when the result changes.
    pub(crate) fn poll_ended(&self, waker: &Waker) -> Option<CloseReason> {
        // Register before the read, so that a reason set in between is not missed.
        self.waker.register(waker);
        self.ended()
    }
}

/// The registry of upgraded, open connections.
#[derive(Debug, Default)]
pub(crate) struct ConnectionRegistry {
    state: Mutex<RegistryState>,
    budget: Arc<BufferBudget>,
    last_id: AtomicU64,
}

#[derive(Debug, Default)]
struct RegistryState {
    by_id: HashMap<ConnectionId, Arc<ConnectionEntry>>,
    /// The counts of the sessions that have ended.
    past: TrafficCounts,
    /// Once set, each new connection ends at once. This closes the race between an upgrade and
    /// [`ConnectionRegistry::end_all_but_sessions`].
    ended: Option<CloseReason>,
}

impl ConnectionRegistry {
    /// Creates a registry whose connections hold bytes of this budget.
    pub(crate) fn new(budget: Arc<BufferBudget>) -> Self {
        Self {
            budget,
            ..Self::default()
        }
    }

    /// Returns the budget of the connections.
    pub(crate) fn budget(&self) -> &Arc<BufferBudget> {
        &self.budget
    }

    /// Asks connections to give bytes back, if the budget is exceeded. Stalled connections come first,
    /// the largest of them before the others. If none is stalled, it is the turn of the connection with
    /// the largest product of its bytes and the time since its last progress: a peer that moves a few
    /// bytes all the time protects no large buffer by them.
    pub(crate) fn relieve(&self) {
        if !self.budget.take_exceeded() {
            return;
        }
        let now = tokio::time::Instant::now();
        let state = self.state();
        let entries = state.by_id.values();
        let mut holders: Vec<_> = entries
            .filter_map(|entry| Some((entry.holding.held(entry.queue.bytes(), now)?, entry)))
            .collect();
        holders.sort_unstable_by_key(|(held, _)| Reverse(held.weight()));
        for (held, entry) in holders {
            let cause = held.cause();
            if !self.budget.must_ask(cause) {
                break;
            }
            entry.demand(cause, &self.budget);
        }
        if self.budget.must_drop() {
            let entries = state.by_id.values();
            let mut leaving: Vec<_> = entries
                .filter(|entry| entry.holding.leaving() > 0)
                .collect();
            leaving.sort_by_cached_key(|entry| Reverse(entry.holding.leaving()));
            for entry in leaving {
                if !self.budget.must_drop() {
                    break;
                }
                entry.holding.drop_at_once(&self.budget);
                entry.wake();
            }
        }
        self.budget.end_attempt();
    }

    /// Returns the id of a new connection.
    pub(crate) fn next_id(&self) -> ConnectionId {
        ConnectionId::from(self.last_id.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// Registers a connection, until the registration is dropped.
    pub(crate) fn register(self: &Arc<Self>, id: ConnectionId, peer: Peer) -> Registration {
        let entry = Arc::new(ConnectionEntry::new(peer));
        let mut state = self.state();
        state.by_id.insert(id, Arc::clone(&entry));
        if let Some(reason) = state.ended {
            entry.end(reason);
        }
        Registration {
            entry,
            id,
            connections: Arc::clone(self),
        }
    }

    /// Returns the number of open connections.
    pub(crate) fn len(&self) -> usize {
        self.state().by_id.len()
    }

    /// Ends all future connections, and the open ones that are not admitted. Returns the others, the
    /// sessions. `reason` gets their number.
    pub(crate) fn end_all_but_sessions(
        &self,
        reason: impl FnOnce(usize) -> CloseReason,
    ) -> Vec<Arc<ConnectionEntry>> {
        let mut state = self.state();
        let entries = state.by_id.values();
        let (sessions, others): (Vec<_>, Vec<_>) =
            entries.partition(|entry| entry.admitted().is_some());
        let reason = reason(sessions.len());
        for entry in others {
            entry.end(reason);
        }
        let sessions = sessions.into_iter().map(Arc::clone).collect();
        state.ended = Some(reason);
        sessions
    }

    /// Ends all open and future connections. Returns the number of open ones.
    #[cfg(test)]
    pub(crate) fn end_all(&self, reason: CloseReason) -> usize {
        for session in self.end_all_but_sessions(|_| reason) {
            session.end(reason);
        }
        self.len()
    }

    /// Ends the connections whose grant fails the check. Returns their ids, principals and reasons.
    pub(crate) fn end_revoked(
        &self,
        check: impl Fn(&Grant) -> Result<(), CloseReason>,
    ) -> Vec<(ConnectionId, Principal, CloseReason)> {
        let state = self.state();
        let revoked = state.by_id.iter().filter_map(|(id, entry)| {
            let grant = &entry.admitted()?.grant;
            let reason = check(grant).err()?;
            let is_first = entry.end(reason);
            is_first.then(|| (*id, grant.principal.clone(), reason))
        });
        revoked.collect()
    }

    /// Returns a connection, if it is open.
    pub(crate) fn get(&self, id: ConnectionId) -> Option<Arc<ConnectionEntry>> {
        self.state().by_id.get(&id).cloned()
    }

    /// Returns every admitted connection, ordered by id.
    pub(crate) fn sessions(&self) -> Vec<(ConnectionId, Arc<ConnectionEntry>)> {
        let state = self.state();
        let admitted = state
            .by_id
            .iter()
            .filter(|(_, entry)| entry.admitted().is_some());
        let mut sessions: Vec<_> = admitted
            .map(|(id, entry)| (*id, Arc::clone(entry)))
            .collect();
        drop(state);
        sessions.sort_unstable_by_key(|(id, _)| id.number());
        sessions
    }

    /// Returns the counts of all sessions since the start. They never decrease.
    pub(crate) fn traffic(&self) -> TrafficCounts {
        let state = self.state();
        let open = state.by_id.values().map(|entry| entry.counters.counts());
        state.past + open.sum()
    }

    fn state(&self) -> MutexGuard<'_, RegistryState> {
        // A panic while the lock was held cannot have left a map half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The registration of a connection. Dropping it removes the entry.
#[derive(Debug)]
pub(crate) struct Registration {
    entry: Arc<ConnectionEntry>,
    id: ConnectionId,
    connections: Arc<ConnectionRegistry>,
}

impl Registration {
    /// Returns the id of the connection.
    pub(crate) fn id(&self) -> ConnectionId {
        self.id
    }

    /// Returns the entry of the connection.
    pub(crate) fn entry(&self) -> &Arc<ConnectionEntry> {
        &self.entry
    }

    /// Returns the budget of all connections.
    pub(crate) fn budget(&self) -> &Arc<BufferBudget> {
        &self.connections.budget
    }

    /// Reports the bytes that the connection holds, after `moved` bytes were read and written.
    pub(crate) fn report(&self, held: HeldBytes, moved: u64) {
        self.entry
            .holding
            .report(held, moved, &self.connections.budget);
    }

    /// Asks connections to give bytes back, if the budget is exceeded.
    pub(crate) fn relieve(&self) {
        self.connections.relieve();
    }

    /// Counts the end of the connection on demand of the budget.
    pub(crate) fn count_eviction(&self, cause: EvictionCause) {
        let budget = &self.connections.budget;
        self.entry.holding.count_eviction(cause, budget);
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.entry.queue.close();
        self.entry.holding.end(&self.connections.budget);
        let mut state = self.connections.state();
        state.by_id.remove(&self.id);
        // Under the same lock as the removal, so that `traffic` counts the session exactly once.
        state.past = state.past + self.entry.counters.counts();
    }
}

#[cfg(test)]
impl Default for ConnectionEntry {
    /// Returns an entry for tests, with a loopback peer.
    fn default() -> Self {
        Self::new(Peer::Forwarded(std::net::Ipv4Addr::LOCALHOST.into()))
    }
}

#[cfg(test)]
mod tests {
    use std::{
        net::{IpAddr, Ipv4Addr},
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
        task::Waker,
        time::UNIX_EPOCH,
    };

    use futures::task::{ArcWake, waker};
    use proto::{
        close::CloseReason, credentials::Accounts, message::Credentials, password::HashMemory,
    };

    use super::{ConnectionRegistry, TrafficCounts};
    use crate::{
        access::{Grant, PathPattern, Principal},
        peer::Peer,
    };

    const PEER: Peer = Peer::Forwarded(IpAddr::V4(Ipv4Addr::LOCALHOST));

    #[derive(Default)]
    struct Wakes(AtomicUsize);

    impl ArcWake for Wakes {
        fn wake_by_ref(wakes: &Arc<Self>) {
            wakes.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn end_all_wakes_task_and_first_reason_is_final() {
        let connections = Arc::new(ConnectionRegistry::default());
        let registration = connections.register(connections.next_id(), PEER);
        let wakes = Arc::new(Wakes::default());
        assert_eq!(
            registration.entry().poll_ended(&waker(Arc::clone(&wakes))),
            None
        );
        assert_eq!(
            connections.end_all(CloseReason::ShuttingDown { back_in: 2 }),
            1
        );
        registration.entry().end(CloseReason::Internal);
        assert_eq!(wakes.0.load(Ordering::Relaxed), 1);
        assert_eq!(
            registration.entry().ended(),
            Some(CloseReason::ShuttingDown { back_in: 2 })
        );
    }

    #[test]
    fn end_revoked_ends_only_failed_grants() {
        let source = "[[user]]\nname = \"admin\"\npassword = \"1\"\n\
                      [[user]]\nname = \"jane\"\npassword = \"2\"";
        let accounts = Accounts::from_toml(source).unwrap();
        let connections = Arc::new(ConnectionRegistry::default());
        let connected: Vec<_> = ["admin:1", "jane:2", "jane:2"]
            .into_iter()
            .map(|line| {
                let registration = connections.register(connections.next_id(), PEER);
                let credentials = Credentials::parse(line).unwrap();
                let identity = accounts
                    .verify(&credentials, UNIX_EPOCH, &mut HashMemory::default())
                    .unwrap();
                let grant = Grant {
                    principal: Principal::User(identity),
                    pattern: Arc::new(PathPattern::root()),
                };
                registration.entry().admit(grant, "/".into());
                registration
            })
            .collect();
        let not_logged_in = connections.register(connections.next_id(), PEER);
        let check = |grant: &Grant| match grant.principal.to_string().as_str() {
            "jane" => Err(CloseReason::UserRemoved),
            _ => Ok(()),
        };
        let revoked = connections.end_revoked(check).into_iter();
        let mut revoked: Vec<_> = revoked
            .map(|(id, principal, why)| (id.number(), principal.to_string(), why))
            .collect();
        revoked.sort_unstable_by_key(|(id, ..)| *id);
        let expected = [2, 3].map(|id| (id, "jane".to_owned(), CloseReason::UserRemoved));
        assert_eq!(revoked, expected);
        let again = connections.end_revoked(check);
        assert!(again.is_empty(), "they have a reason already");
        let ended: Vec<_> = connected.iter().map(|it| it.entry().ended()).collect();
        let removed = Some(CloseReason::UserRemoved);
        assert_eq!(ended, [None, removed, removed]);
        assert_eq!(not_logged_in.entry().ended(), None);
    }

    #[test]
    fn connection_after_end_all_ends_at_once() {
        let connections = Arc::new(ConnectionRegistry::default());
        assert_eq!(
            connections.end_all(CloseReason::ShuttingDown { back_in: 2 }),
            0
        );
        let late = connections.register(connections.next_id(), PEER);
        assert_eq!(
            late.entry().poll_ended(Waker::noop()),
            Some(CloseReason::ShuttingDown { back_in: 2 })
        );
    }

    #[test]
    fn dropped_registration_leaves_no_entry() {
        let connections = Arc::new(ConnectionRegistry::default());
        drop(connections.register(connections.next_id(), PEER));
        assert_eq!(
            connections.end_all(CloseReason::ShuttingDown { back_in: 2 }),
            0
        );
    }

    #[test]
    fn traffic_includes_open_and_ended_sessions() {
        let connections = Arc::new(ConnectionRegistry::default());
        let [first, second] = [(); 2].map(|()| connections.register(connections.next_id(), PEER));
        first.entry().counters().received(5);
        second.entry().counters().sent(26);
        let counted = TrafficCounts {
            messages_in: 1,
            bytes_in: 5,
            messages_out: 1,
            bytes_out: 26,
        };
        assert_eq!(connections.traffic(), counted);
        drop(first);
        assert_eq!(connections.traffic(), counted);
        drop(second);
        assert_eq!(connections.traffic(), counted);
    }
}
