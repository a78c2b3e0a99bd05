//! Connections on duplex pipes, from handshake to end, with a paused clock.

mod admission;
mod backend_buffers;
mod basic;
mod batches;
mod budget;
mod buffers;
mod end;
mod fairness;
mod frames;
mod harness;
mod hashing;
mod held_bytes;
mod hosts;
mod http;
mod login;
mod operator;
mod program;
mod publish;
mod pushes;
mod relay;
mod reload;
mod revocation;
mod routes;
#[cfg(target_os = "linux")]
mod sockets;
mod stream;
mod tickets;
mod time;
mod tls;
mod verifier;
