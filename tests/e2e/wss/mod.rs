//! The client over TLS: which certificates it trusts, how it reports the others, and that it sends
//! nothing before verification.

mod lifecycle;
mod reports;
mod trust;
mod trusted_authority;
