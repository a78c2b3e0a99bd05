//! The peer of a connection: its address, the addresses that a trusted proxy reports, and turns by
//! address.

mod address_group;
mod connection_id;
mod fair_semaphore;
mod forwarded;
mod peer;

pub(crate) use self::{
    address_group::AddressGroup,
    fair_semaphore::{Acquire, FairSemaphore, Permit},
    peer::Peer,
};
pub use self::{
    connection_id::ConnectionId,
    forwarded::{ForwardedHeader, ForwardedHeaderError, NetworkError, TrustedProxies},
};
