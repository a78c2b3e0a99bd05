//! Opening of a connection within one deadline: TCP, then TLS for `wss://`, then the opening
//! handshake.

mod dialer;
mod stream;
#[cfg(test)]
mod tests;

pub(crate) use self::dialer::Dialer;
pub use self::{
    dialer::{ConnectError, Deadline, Upgraded, exchange, new_key, open, secure, stream, tcp},
    stream::MaybeTlsStream,
};
