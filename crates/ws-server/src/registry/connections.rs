//! The connections that are open now, and how one of them is told to end.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::Waker,
    time::Instant,
};

use futures::task::AtomicWaker;
use proto::close::CloseReason;

use crate::{
    access::{Grant, Principal},
    peer::{ConnectionId, Peer},
    registry::{
        counters::{Counts, Traffic},
        queue::Queue,
    },
};

/// A peer that was let in.
#[derive(Debug)]
pub(crate) struct Visit {
    /// Who it is, and what its right to be there depends on.
    pub(crate) grant: Grant,
    /// The path that it has asked for.
    pub(crate) path: Arc<str>,
    /// When it was let in.
    pub(crate) since: Instant,
}

/// The way to reach one open connection from outside its task.
#[derive(Debug)]
pub(crate) struct Live {
    /// The other end.
    peer: Peer,
    /// Why the connection is to end; set once, the first reason stands.
    end: OnceLock<CloseReason>,
    /// Set once, when the peer is let in.
    visit: OnceLock<Visit>,
    /// What goes through the session.
    traffic: Traffic,
    /// What others push into the session.
    queue: Queue,
    waker: AtomicWaker,
}

impl Live {
    /// An entry of a connection with this peer.
    pub(crate) fn new(peer: Peer) -> Self {
        Self {
            peer,
            end: OnceLock::new(),
            visit: OnceLock::new(),
            traffic: Traffic::default(),
            queue: Queue::default(),
            waker: AtomicWaker::new(),
        }
    }

    /// The other end.
    pub(crate) fn peer(&self) -> Peer {
        self.peer
    }

    /// The peer is let in. From now on the connection ends when it may be there no longer.
    pub(crate) fn let_in(&self, grant: Grant, path: Arc<str>) -> &Grant {
        // A connection is let in once.
        let visit = self.visit.get_or_init(|| Visit {
            grant,
            path,
            since: Instant::now(),
        });
        &visit.grant
    }

    /// Who was let in, if anybody was.
    pub(crate) fn visit(&self) -> Option<&Visit> {
        self.visit.get()
    }

    /// What goes through the session.
    pub(crate) fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    /// Tells the connection to end. It does so when it next waits. Returns whether this is why: a
    /// reason that was set before stands.
    pub(crate) fn end(&self, reason: CloseReason) -> bool {
        let is_why = self.end.set(reason).is_ok();
        self.waker.wake();
        is_why
    }

    /// What others push into the session.
    pub(crate) fn queue(&self) -> &Queue {
        &self.queue
    }

    /// Takes a text out of the queue, as a session does.
    #[cfg(test)]
    pub(crate) fn pushed(&self) -> Option<String> {
        match self.queue.pop()? {
            super::queue::Pushed::Text(text) => Some(text.to_string()),
            super::queue::Pushed::Lost(texts) => Some(format!("{texts} lost")),
        }
    }

    /// Has the session look once more at what there is to do.
    pub(crate) fn wake(&self) {
        self.waker.wake();
    }

    /// Why the connection is to end, if it is.
    pub(crate) fn ended(&self) -> Option<CloseReason> {
        self.end.get().copied()
    }

    /// Like [`Live::ended`]; the task is woken when the answer changes.
    pub(crate) fn poll_ended(&self, waker: &Waker) -> Option<CloseReason> {
        // In this order: a reason that is set in between is seen by the read.
        self.waker.register(waker);
        self.ended()
    }
}

/// Every connection that was upgraded and is still open.
#[derive(Debug, Default)]
pub(crate) struct LiveConnections {
    entries: Mutex<Entries>,
    last_id: AtomicU64,
}

#[derive(Debug, Default)]
struct Entries {
    by_id: HashMap<ConnectionId, Arc<Live>>,
    /// What went through the sessions that are over.
    past: Counts,
    /// Once set, whoever comes is told to end at once. This closes the race between an upgrade and
    /// the end of all connections.
    ended: Option<CloseReason>,
}

impl LiveConnections {
    /// Draws the id of a new connection.
    pub(crate) fn next_id(&self) -> ConnectionId {
        ConnectionId::from(self.last_id.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// Enters a connection, which is taken out again when the registration is dropped.
    pub(crate) fn register(self: &Arc<Self>, id: ConnectionId, peer: Peer) -> Registration {
        let live = Arc::new(Live::new(peer));
        let mut entries = self.entries();
        entries.by_id.insert(id, Arc::clone(&live));
        if let Some(reason) = entries.ended {
            live.end(reason);
        }
        Registration {
            live,
            id,
            connections: Arc::clone(self),
        }
    }

    /// Tells all connections to end, those that are there and those that may still come. Returns
    /// how many there are.
    pub(crate) fn end_all(&self, reason: CloseReason) -> usize {
        let mut entries = self.entries();
        entries.ended = Some(reason);
        for live in entries.by_id.values() {
            live.end(reason);
        }
        entries.by_id.len()
    }

    /// Tells those connections to end that may be there no longer. Returns which these are, whose,
    /// and why.
    pub(crate) fn end_revoked(
        &self,
        check: impl Fn(&Grant) -> Result<(), CloseReason>,
    ) -> Vec<(ConnectionId, Principal, CloseReason)> {
        let entries = self.entries();
        let revoked = entries.by_id.iter().filter_map(|(id, live)| {
            let grant = &live.visit()?.grant;
            let reason = check(grant).err()?;
            let is_why = live.end(reason);
            is_why.then(|| (*id, grant.principal.clone(), reason))
        });
        revoked.collect()
    }

    /// One connection, if it is open.
    pub(crate) fn get(&self, id: ConnectionId) -> Option<Arc<Live>> {
        self.entries().by_id.get(&id).cloned()
    }

    /// Every connection whose peer was let in, in the order in which they came.
    pub(crate) fn sessions(&self) -> Vec<(ConnectionId, Arc<Live>)> {
        let entries = self.entries();
        let let_in = entries
            .by_id
            .iter()
            .filter(|(_, live)| live.visit().is_some());
        let mut sessions: Vec<_> = let_in.map(|(id, live)| (*id, Arc::clone(live))).collect();
        drop(entries);
        sessions.sort_unstable_by_key(|(id, _)| id.number());
        sessions
    }

    /// What went through all sessions that there ever were. It never becomes less.
    pub(crate) fn traffic(&self) -> Counts {
        let entries = self.entries();
        let open = entries.by_id.values().map(|live| live.traffic.counts());
        entries.past + open.sum()
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        // A panic while the lock was held cannot have left a map half changed.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection's place among the live ones.
#[derive(Debug)]
pub(crate) struct Registration {
    live: Arc<Live>,
    id: ConnectionId,
    connections: Arc<LiveConnections>,
}

impl Registration {
    /// Which connection it is of.
    pub(crate) fn id(&self) -> ConnectionId {
        self.id
    }

    /// The entry that was made.
    pub(crate) fn live(&self) -> &Arc<Live> {
        &self.live
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let mut entries = self.connections.entries();
        entries.by_id.remove(&self.id);
        // Under the same lock, so that nobody finds it in neither place, or in both.
        entries.past = entries.past + self.live.traffic.counts();
    }
}

#[cfg(test)]
impl Default for Live {
    /// The entry of a connection that nobody asks where it comes from.
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

    use super::{Counts, LiveConnections};
    use crate::{
        access::{Grant, Pattern, Principal},
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
    fn ending_all_wakes_each_and_the_first_reason_stands() {
        let connections = Arc::new(LiveConnections::default());
        let registration = connections.register(connections.next_id(), PEER);
        let wakes = Arc::new(Wakes::default());
        assert_eq!(
            registration.live().poll_ended(&waker(Arc::clone(&wakes))),
            None
        );
        assert_eq!(connections.end_all(CloseReason::ShuttingDown), 1);
        registration.live().end(CloseReason::Internal);
        assert_eq!(wakes.0.load(Ordering::Relaxed), 1);
        assert_eq!(registration.live().ended(), Some(CloseReason::ShuttingDown));
    }

    #[test]
    fn only_connections_that_may_be_there_no_longer_end() {
        let source = "[[user]]\nname = \"admin\"\npassword = \"1\"\n\
                      [[user]]\nname = \"jane\"\npassword = \"2\"";
        let accounts = Accounts::from_toml(source).unwrap();
        let connections = Arc::new(LiveConnections::default());
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
                    pattern: Arc::new(Pattern::root()),
                };
                registration.live().let_in(grant, "/".into());
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
        assert!(again.is_empty(), "they are ending already");
        let ended: Vec<_> = connected.iter().map(|it| it.live().ended()).collect();
        let removed = Some(CloseReason::UserRemoved);
        assert_eq!(ended, [None, removed, removed]);
        assert_eq!(not_logged_in.live().ended(), None);
    }

    #[test]
    fn whoever_comes_after_the_end_is_told_at_once() {
        let connections = Arc::new(LiveConnections::default());
        assert_eq!(connections.end_all(CloseReason::ShuttingDown), 0);
        let late = connections.register(connections.next_id(), PEER);
        assert_eq!(
            late.live().poll_ended(Waker::noop()),
            Some(CloseReason::ShuttingDown)
        );
    }

    #[test]
    fn a_dropped_registration_leaves_nothing_behind() {
        let connections = Arc::new(LiveConnections::default());
        drop(connections.register(connections.next_id(), PEER));
        assert_eq!(connections.end_all(CloseReason::ShuttingDown), 0);
    }

    #[test]
    fn what_went_through_is_counted_in_an_open_session_and_after_its_end() {
        let connections = Arc::new(LiveConnections::default());
        let [first, second] = [(); 2].map(|()| connections.register(connections.next_id(), PEER));
        first.live().traffic().received(5);
        second.live().traffic().sent(26);
        let counted = Counts {
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
