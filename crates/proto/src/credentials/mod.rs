//! Credentials files: the accounts of a server, the password file of a client, and the check of their
//! modes.

mod accounts;
mod fingerprint;
mod password_file;
mod world_accessible;

pub use self::{
    accounts::{Accounts, Identity, Revoked, VerifyError},
    fingerprint::{CredentialFingerprint, FingerprintError},
    password_file::{PasswordFileError, password_from_file},
    world_accessible::WorldAccessible,
};

#[cfg(test)]
mod tests;
