//! The services that a session can be handed to.
//!
//! A service gets a [`Session`](crate::session::Session) and returns when it is over. It does not know
//! logins, limits or Close frames. To add one:
//!
//! 1. Write its file here: a struct of its options, and `async fn run`, which receives and sends until
//!    the session is over. [`Echo`] is the shortest example.
//! 2. Give [`Service`] an arm, and each `match` on it, which the compiler finds.
//! 3. Add its keys to `config/route.rs` (`ServiceName`, `ServiceKeys`), to `config/server.toml` and to
//!    the table in the README. A test compares the three.
//! 4. Test it over one end of a duplex, as `service/tests/room.rs` does.
//!
//! A service that sends without being asked takes the session's
//! [`outbox`](crate::session::Session::outbox) and hands it to the code that has something to send, as
//! [`Room`] does.

mod echo;
mod hub;
mod room;
mod service;

pub use self::{
    echo::Echo,
    hub::{HistoryPolicy, Hub, RoomStats},
    room::{Presence, Room, RoomFormat},
    service::Service,
};
