//! The caps on connections: all, and unauthenticated ones, in total and for each address.
//!
//! Unauthenticated connections have a cap of their own, so that they cannot use up the slots of
//! users.
//! Connections over a cap are accepted only to be answered with 503, up to [`REJECTION_MARGIN`].
//! Beyond that they are dropped without a response.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use crate::{
    access::Principal, limits::Caps, peer::AddressGroup, process::descriptors::REJECTION_MARGIN,
};

/// The connections that count against the caps.
#[derive(Debug)]
pub(crate) struct Admission(Mutex<ConnectionCounts>);

#[derive(Debug)]
struct ConnectionCounts {
    caps: Caps,
    all: Share,
    /// Connections that are served without a login.
    guests: usize,
    /// Connections accepted only to be answered with 503.
    rejecting: usize,
    /// Connections dropped without a response, since the start.
    dropped: u64,
    by_address: HashMap<AddressGroup, Share>,
}

/// The number of connections by state, at one moment.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ConnectionStats {
    /// Connections that are not logged in.
    pub(crate) unauthenticated: usize,
    /// Connections served without a login.
    pub(crate) guests: usize,
    /// Connections served after a login.
    pub(crate) users: usize,
    /// Connections being answered with 503.
    pub(crate) rejected: usize,
    /// Connections dropped without a response, since the start.
    pub(crate) dropped: u64,
    /// The cap on connections. Rejected ones do not count.
    pub(crate) limit: usize,
}

#[derive(Debug, Default, Clone, Copy)]
struct Share {
    connections: usize,
    unauthenticated: usize,
}

impl Admission {
    /// Creates the admission of connections up to these caps.
    pub(crate) fn new(caps: Caps) -> Self {
        Self(Mutex::new(ConnectionCounts {
            caps,
            all: Share::default(),
            guests: 0,
            rejecting: 0,
            dropped: 0,
            by_address: HashMap::new(),
        }))
    }

    /// Changes the caps. Connections that are open stay open.
    pub(crate) fn set_caps(&self, caps: Caps) {
        self.counts().caps = caps;
    }

    /// Returns the number of connections by state.
    pub(crate) fn stats(&self) -> ConnectionStats {
        let counts = self.counts();
        let Share {
            connections,
            unauthenticated,
        } = counts.all;
        ConnectionStats {
            unauthenticated,
            guests: counts.guests,
            users: connections - unauthenticated - counts.guests,
            rejected: counts.rejecting,
            dropped: counts.dropped,
            limit: counts.caps.connections,
        }
    }

    /// Returns the caps in force.
    #[cfg(test)]
    pub(crate) fn caps(&self) -> Caps {
        self.counts().caps
    }

    /// Counts a new, unauthenticated connection. Returns `None` if the caps and [`REJECTION_MARGIN`]
    /// are used up.
    ///
    /// A connection from a trusted proxy has no address yet; [`ConnectionPermit::set_address`] sets it.
    pub(crate) fn enter(self: &Arc<Self>, address: Option<IpAddr>) -> Option<ConnectionPermit> {
        let group = address.map(AddressGroup::of);
        let mut counts = self.counts();
        let slot = if counts.has_free_slot()
            && group.is_none_or(|group| counts.has_free_slot_for(group))
        {
            counts.all.connections += 1;
            counts.all.unauthenticated += 1;
            if let Some(group) = group {
                counts.add(group);
            }
            Slot::Unauthenticated
        } else if counts.rejecting < REJECTION_MARGIN {
            counts.rejecting += 1;
            Slot::Rejecting
        } else {
            counts.dropped += 1;
            return None;
        };
        drop(counts);
        let counted = match (slot, group) {
            (Slot::Unauthenticated, Some(group)) => OnceLock::from(group),
            _ => OnceLock::new(),
        };
        Some(ConnectionPermit {
            admission: Arc::clone(self),
            group: counted,
            slot,
        })
    }

    fn counts(&self) -> MutexGuard<'_, ConnectionCounts> {
        // A panic while the lock was held cannot have left a count half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ConnectionCounts {
    fn has_free_slot(&self) -> bool {
        self.all.connections < self.caps.connections
            && self.all.unauthenticated < self.caps.unauthenticated
    }

    fn has_free_slot_for(&self, group: AddressGroup) -> bool {
        let share = self.by_address.get(&group).copied().unwrap_or_default();
        let below = |count: usize, cap: Option<usize>| cap.is_none_or(|cap| count < cap);
        below(share.unauthenticated, self.caps.unauthenticated_per_address)
            && below(share.connections, self.caps.connections_per_address)
    }

    fn add(&mut self, group: AddressGroup) {
        let share = self.by_address.entry(group).or_default();
        share.connections += 1;
        share.unauthenticated += 1;
    }

    /// Returns the counts that include a connection: all, and its address group's.
    fn shares(&mut self, group: Option<&AddressGroup>) -> impl Iterator<Item = &mut Share> {
        let of_address = group.and_then(|group| self.by_address.get_mut(group));
        [&mut self.all].into_iter().chain(of_address)
    }
}

/// The availability of the server for a new connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Availability {
    /// A slot is free.
    Open,
    /// No slot is free.
    Full,
    /// The server is shutting down.
    Draining,
}

/// The slot of a connection. Dropping the permit frees it.
#[derive(Debug)]
pub(crate) struct ConnectionPermit {
    admission: Arc<Admission>,
    /// The address that the connection counts for.
    group: OnceLock<AddressGroup>,
    slot: Slot,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Slot {
    Unauthenticated,
    Guest,
    Authenticated,
    /// Accepted only to be answered with 503.
    Rejecting,
}

impl ConnectionPermit {
    /// Returns [`Availability::Open`] if a slot was free for the connection.
    pub(crate) fn availability(&self) -> Availability {
        match self.slot {
            Slot::Unauthenticated | Slot::Guest | Slot::Authenticated => Availability::Open,
            Slot::Rejecting => Availability::Full,
        }
    }

    /// Counts the connection for its client address, if [`Admission::enter`] did not know it. Returns
    /// the availability for this address.
    pub(crate) fn set_address(&self, address: IpAddr) -> Availability {
        if self.slot == Slot::Rejecting || self.group.get().is_some() {
            return self.availability();
        }
        let group = AddressGroup::of(address);
        let mut counts = self.admission.counts();
        if !counts.has_free_slot_for(group) {
            return Availability::Full;
        }
        if self.group.set(group).is_ok() {
            counts.add(group);
        }
        Availability::Open
    }

    /// Records that the connection is admitted for this principal.
    pub(crate) fn promote(&mut self, principal: &Principal) {
        match principal {
            Principal::User(_) => self.mark_authenticated(),
            Principal::Guest(_) => self.mark_guest(),
        }
    }

    /// Records a guest. The connection frees its slot among all unauthenticated ones. It still counts
    /// against the unauthenticated cap of its address: otherwise one address could use all slots.
    fn mark_guest(&mut self) {
        if self.slot == Slot::Unauthenticated {
            self.slot = Slot::Guest;
            let mut counts = self.admission.counts();
            counts.all.unauthenticated -= 1;
            counts.guests += 1;
        }
    }

    /// Records the login. The connection frees its slot among unauthenticated ones.
    fn mark_authenticated(&mut self) {
        if self.slot == Slot::Unauthenticated {
            self.slot = Slot::Authenticated;
            let mut counts = self.admission.counts();
            for share in counts.shares(self.group.get()) {
                share.unauthenticated -= 1;
            }
        }
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        let mut counts = self.admission.counts();
        let (of_all, of_address) = match self.slot {
            Slot::Rejecting => {
                counts.rejecting -= 1;
                return;
            }
            Slot::Unauthenticated => (1, 1),
            Slot::Guest => {
                counts.guests -= 1;
                (0, 1)
            }
            Slot::Authenticated => (0, 0),
        };
        counts.all.connections -= 1;
        counts.all.unauthenticated -= of_all;
        let Some(group) = self.group.get() else {
            return;
        };
        let Some(share) = counts.by_address.get_mut(group) else {
            return;
        };
        share.connections -= 1;
        share.unauthenticated -= of_address;
        // An address without connections takes no memory.
        if share.connections == 0 {
            counts.by_address.remove(group);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{net::IpAddr, sync::Arc};

    use super::{Admission, Availability, ConnectionPermit, ConnectionStats};
    use crate::{limits::Caps, process::descriptors::REJECTION_MARGIN};

    const ROOMY: Caps = Caps {
        connections: 1000,
        unauthenticated: 1000,
        unauthenticated_per_address: None,
        connections_per_address: None,
    };

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[track_caller]
    fn open(admission: &Arc<Admission>, address: IpAddr) -> ConnectionPermit {
        let permit = admission
            .enter(Some(address))
            .expect("a slot or the rejection margin is free");
        assert_eq!(permit.availability(), Availability::Open);
        permit
    }

    #[track_caller]
    fn assert_full(admission: &Arc<Admission>, address: IpAddr) {
        let permit = admission
            .enter(Some(address))
            .expect("a slot or the rejection margin is free");
        assert_eq!(permit.availability(), Availability::Full);
    }

    #[test]
    fn connection_over_cap_rejected_until_one_ends() {
        let admission = Arc::new(Admission::new(Caps {
            connections: 2,
            ..ROOMY
        }));
        let mut first = open(&admission, address(1));
        let _second = open(&admission, address(2));
        assert_full(&admission, address(3));
        first.mark_authenticated();
        assert_full(&admission, address(3));
        drop(first);
        open(&admission, address(3));
    }

    #[test]
    fn login_frees_unauthenticated_slot() {
        let admission = Arc::new(Admission::new(Caps {
            unauthenticated: 1,
            ..ROOMY
        }));
        let mut first = open(&admission, address(1));
        assert_full(&admission, address(2));
        first.mark_authenticated();
        first.mark_authenticated();
        let _second = open(&admission, address(2));
        assert_full(&admission, address(3));
    }

    #[test]
    fn stats_count_connections_by_state() {
        let admission = Arc::new(Admission::new(ROOMY));
        let [mut guest, mut user, waiting] = [1, 2, 3].map(|last| open(&admission, address(last)));
        guest.mark_guest();
        user.mark_authenticated();
        let empty = ConnectionStats {
            limit: ROOMY.connections,
            ..ConnectionStats::default()
        };
        let one_of_each = ConnectionStats {
            unauthenticated: 1,
            guests: 1,
            users: 1,
            ..empty
        };
        assert_eq!(admission.stats(), one_of_each);
        drop((guest, user, waiting));
        assert_eq!(admission.stats(), empty);
    }

    #[test]
    fn caps_of_one_address_spare_others() {
        let caps = Caps {
            unauthenticated_per_address: Some(1),
            connections_per_address: Some(2),
            ..ROOMY
        };
        let admission = Arc::new(Admission::new(caps));
        let mut first = open(&admission, address(1));
        assert_full(&admission, address(1));
        let _other = open(&admission, address(2));
        first.mark_authenticated();
        let mut second = open(&admission, address(1));
        second.mark_authenticated();
        assert_full(&admission, address(1));
        drop(second);
        open(&admission, address(1));
    }

    #[test]
    fn ipv6_64_network_counts_as_one_address() {
        let caps = Caps {
            connections_per_address: Some(1),
            ..ROOMY
        };
        let admission = Arc::new(Admission::new(caps));
        let _first = open(&admission, "2001:db8::1".parse().unwrap());
        assert_full(&admission, "2001:db8::2".parse().unwrap());
        let _neighbour = open(&admission, "2001:db8:0:1::1".parse().unwrap());
        let _v4 = open(&admission, address(1));
        assert_full(&admission, "::ffff:192.0.2.1".parse().unwrap());
    }

    #[test]
    fn proxied_connection_counts_for_client_address() {
        let admission = Arc::new(Admission::new(Caps {
            unauthenticated_per_address: Some(1),
            ..ROOMY
        }));
        let mut first = admission.enter(None).unwrap();
        let second = admission.enter(None).unwrap();
        assert_eq!(first.set_address(address(1)), Availability::Open);
        assert_eq!(first.set_address(address(1)), Availability::Open);
        assert_eq!(second.set_address(address(1)), Availability::Full);
        assert_eq!(second.set_address(address(2)), Availability::Open);
        assert_full(&admission, address(2));
        first.mark_authenticated();
        drop(open(&admission, address(1)));
        drop((first, second));
        let counts = admission.counts();
        assert!(counts.by_address.is_empty());
        assert_eq!((counts.all.connections, counts.all.unauthenticated), (0, 0));
    }

    #[test]
    fn new_caps_apply_to_next_connection() {
        let admission = Arc::new(Admission::new(ROOMY));
        let _first = open(&admission, address(1));
        admission.set_caps(Caps {
            connections: 1,
            ..ROOMY
        });
        assert_full(&admission, address(2));
        admission.set_caps(ROOMY);
        open(&admission, address(2));
    }

    #[test]
    fn connection_beyond_margin_dropped() {
        let admission = Arc::new(Admission::new(Caps {
            connections: 1,
            ..ROOMY
        }));
        let _first = open(&admission, address(1));
        let rejected: Vec<_> = (0..REJECTION_MARGIN)
            .map(|_| admission.enter(Some(address(2))).unwrap())
            .collect();
        assert!(
            rejected
                .iter()
                .all(|permit| permit.availability() == Availability::Full)
        );
        assert!(admission.enter(Some(address(2))).is_none());
        let stats = admission.stats();
        assert_eq!((stats.rejected, stats.dropped), (REJECTION_MARGIN, 1));
        drop(rejected);
        assert_full(&admission, address(2));
    }

    #[test]
    fn ended_connections_leave_no_address_entry() {
        let admission = Arc::new(Admission::new(ROOMY));
        drop([open(&admission, address(1)), open(&admission, address(2))]);
        let counts = admission.counts();
        assert!(counts.by_address.is_empty());
        assert_eq!((counts.all.connections, counts.all.unauthenticated), (0, 0));
    }
}
