//! Credentials files: the accounts of a server, and the password file of a client.

mod accounts;
mod fingerprint;
mod password_file;

pub use self::{
    accounts::{Accounts, Identity, Revoked, VerifyError},
    fingerprint::{CredentialFingerprint, FingerprintError},
    password_file::{PasswordFileError, password_from_file},
};

#[cfg(test)]
mod tests;
