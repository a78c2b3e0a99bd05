//! The stream service: the bytes of a TCP or Unix connection as binary messages.

mod options;
mod proxy_protocol;
mod stream;

pub use self::options::{HalfClose, ProxyProtocol, StreamAddress, StreamService, TextPolicy};
pub(crate) use self::{options::default_connect_deadline, stream::StreamBackend};
