//! The relay service: the messages of a WebSocket server behind the login.

mod address;
mod connect;
mod fields;
mod options;
mod relay;
mod request;

pub(crate) use self::relay::RelayBackend;
pub use self::{
    address::RelayAddress,
    options::{FieldValueSource, ForwardedField, IdentityField, Relay, RelayFiles},
};
