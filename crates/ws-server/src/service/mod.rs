//! The services that a session can be handed to.

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
