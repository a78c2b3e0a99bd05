//! Opens a connection: TCP, TLS where the URL asks for it, then the handshake, all within one
//! deadline.

mod dialer;
mod stream;
#[cfg(test)]
mod tests;

pub(crate) use self::dialer::Dialer;
pub use self::{
    dialer::{ConnectError, Deadline, Upgraded, exchange, new_key, open, stream, tcp},
    stream::MaybeTlsStream,
};
