//! The peer of a connection: its address, and the addresses that a trusted proxy reports.

mod address_group;
mod connection_id;
mod forwarded;
mod peer;

pub(crate) use self::{address_group::AddressGroup, peer::Peer};
pub use self::{
    connection_id::ConnectionId,
    forwarded::{ForwardedHeader, ForwardedHeaderError, NetworkError, TrustedProxies},
};
