//! Verification of credentials: one verifier for all login methods.

mod hashing;
mod login;
mod verifier;

pub use self::hashing::HashingPolicy;
pub(crate) use self::{
    hashing::HashingStats,
    login::{Login, log_in},
    verifier::Verifier,
};
