//! Connections on pairs of pipes, from handshake to end, on a clock that the test turns.

mod admission;
mod basic;
mod batches;
mod budget;
mod end;
mod frames;
mod harness;
mod hashing;
mod http;
mod login;
mod operator;
mod publish;
mod pushes;
mod reload;
mod revocation;
mod routes;
mod time;
mod tls;
mod verifier;
