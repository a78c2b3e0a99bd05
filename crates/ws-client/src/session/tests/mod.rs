//! Sessions on in-memory streams, with the clock paused, against a scripted server.

mod basic;
mod dialogue;
mod faults;
mod flood;
mod flow;
mod goal;
mod harness;
mod outcome;
mod pings;
mod records;
mod room;
mod timeouts;
mod unsolicited;
