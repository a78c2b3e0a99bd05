//! The other end of a connection: its address, and the addresses that a trusted proxy reports.

mod address_group;
mod forwarded;
mod peer;

pub use self::forwarded::{ForwardedField, ForwardedFieldError, NetworkError, TrustedProxies};
pub(crate) use self::{address_group::AddressGroup, peer::Peer};
