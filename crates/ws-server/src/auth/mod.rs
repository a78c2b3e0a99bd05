//! The check of credentials: one verifier behind every way to log in.

mod hashing;
mod login;
mod verifier;

pub use self::hashing::HashingPolicy;
pub(crate) use self::{
    hashing::HashingStats,
    login::{Login, log_in},
    verifier::Verifier,
};
