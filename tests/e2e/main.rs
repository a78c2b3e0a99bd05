//! Tests that spawn both binaries. They cover what only processes have: arguments, signals,
//! standard streams, exit codes, terminals, and the commands of the README.
//!
//! Each test starts its own server on a free port and runs in parallel with the others.

#[cfg(test)]
mod admin;
#[cfg(test)]
mod audit;
#[cfg(test)]
mod basic;
#[cfg(test)]
mod budget;
#[cfg(test)]
mod buffers;
#[cfg(test)]
mod certificates;
#[cfg(test)]
mod client_goals;
#[cfg(test)]
mod client_login;
#[cfg(test)]
mod client_records;
#[cfg(test)]
mod configuration;
#[cfg(test)]
mod credentials_file;
#[cfg(test)]
mod descriptors;
#[cfg(test)]
mod dialogue;
#[cfg(test)]
mod documentation;
#[cfg(test)]
mod handshake_page;
#[cfg(test)]
mod hash_password;
#[cfg(test)]
mod hashing;
#[cfg(test)]
mod hosts;
#[cfg(test)]
mod journal;
#[cfg(test)]
mod logging;
#[cfg(test)]
mod page;
#[cfg(test)]
mod pipe;
#[cfg(test)]
mod programs;
#[cfg(test)]
mod proxies;
#[cfg(test)]
mod public_address;
#[cfg(test)]
mod reload;
#[cfg(test)]
mod revocation;
#[cfg(test)]
mod revocations_file;
#[cfg(test)]
mod rooms;
#[cfg(test)]
mod secrets;
#[cfg(test)]
mod signals;
#[cfg(test)]
mod systemd;
#[cfg(test)]
mod terminal;
#[cfg(test)]
mod tickets;
#[cfg(test)]
mod tls;
#[cfg(test)]
mod tls_server;
#[cfg(test)]
mod upstreams;
#[cfg(test)]
mod wss;
