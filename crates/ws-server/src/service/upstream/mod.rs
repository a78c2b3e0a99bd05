//! The connection to an upstream: its address, its byte stream and its deadlines.

mod address;
mod io;
mod watch;

pub use self::address::UpstreamAddress;
pub(crate) use self::{
    io::UpstreamIo,
    watch::{UpstreamWatch, WatchAction},
};
