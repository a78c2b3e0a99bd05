//! The services that a session can be handed to.

mod echo;
mod hub;
mod room;
mod service;

pub use self::{
    echo::Echo,
    hub::{Hub, Keep, RoomStats},
    room::{Format, Presence, Room},
    service::Service,
};
