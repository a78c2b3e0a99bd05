//! The client over TLS: which certificates it takes, what it says about the others, and that nothing
//! is sent before they were checked.

mod lifecycle;
mod reports;
mod trust;
mod trusted_authority;
