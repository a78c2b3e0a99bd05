//! The services that run sessions.
//!
//! A service gets a [`Session`](crate::session::Session) and returns when the session ends. It does not
//! handle logins, limits or Close frames. To add one:
//!
//! 1. Write its file here: a struct of its options, and `async fn run`, which receives and sends until
//!    the session ends. [`Echo`] is the shortest example.
//! 2. Add a variant to [`Service`], and an arm to each `match` that the compiler reports.
//! 3. Add its keys to `config/route.rs` (`ServiceName`), to `config/server.toml` and to
//!    `docs/configuration.md`. A test compares the three.
//! 4. Test it over one end of a duplex, as `service/tests/room.rs` does.
//!
//! A service that connects a backend for each session is a [`BackedService`]:
//!
//! 1. Its file has its options, `async fn connect`, which returns the backend of one session, and
//!    `run` and `close` of that backend. `run` is `pump`, which passes its messages on.
//! 2. Add a variant to [`BackedService`] and to `Backend`, and an arm to each `match`.
//! 3. Its keys are added as above.
//!
//! The server calls `connect` before the 101 if the request logs in, else after the login. It sets the
//! deadline, counts the result, and answers 502, 503 or 504, or closes with 1011 or 1013. The future may
//! be dropped at any time. Then `run` has the session until one side ends it, and `close` ends the backend
//! while the session closes.
//!
//! A service that pushes messages passes the session's
//! [`outbox`](crate::session::Session::outbox) to the code that sends them, as [`Room`] does.

mod backed;
mod bounded_text;
mod connect_request;
mod echo;
mod hub;
mod program;
mod pump;
mod relay;
mod room;
mod service;
mod stream;
mod topic;
mod topics;
mod unwritten;
mod upstream;

pub use self::{
    backed::BackedService,
    connect_request::{BackendError, ConnectRequest},
    echo::Echo,
    hub::{Hub, RoomStats},
    program::{
        Multiline, ProgramCommand, ProgramDirectory, ProgramMode, ProgramService, ProgramStats,
        Programs, Stderr, run_helper,
    },
    relay::{FieldValueSource, ForwardedField, IdentityField, Relay, RelayAddress, RelayFiles},
    room::{Room, RoomFormat},
    service::Service,
    stream::{HalfClose, ProxyProtocol, StreamAddress, StreamService, TextPolicy},
    topic::HistoryPolicy,
    upstream::UpstreamAddress,
};
pub(crate) use self::{
    backed::Backend,
    room::NotPublished,
    topic::{Publisher, Unrestricted},
};
