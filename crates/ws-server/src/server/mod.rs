//! The server: accepts connections, takes each through its stages, and drains them at the end.

mod accepted;
mod backend;
mod connection;
mod drain;
mod handle;
mod http;
mod listener;
mod refused_origins;
mod request_login;
mod scrape;
mod server;
mod spelling;
mod state;
mod stream;
#[cfg(test)]
mod tests;
mod ticket;
mod tls;

pub(crate) use self::handle::PublishError;
#[cfg(test)]
pub(crate) use self::state::ServerState;
pub use self::{handle::ServerHandle, server::Server};
