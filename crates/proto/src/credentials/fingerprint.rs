//! Fingerprints of credentials, by which a later change is detected.

use std::{fmt, str::FromStr};

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::{password::Password, username::UserName};

const SALT_BYTES: usize = 16;
const DIGEST_BYTES: usize = 32;

/// A salted SHA-256 of a user name and its password entry, written as base64.
///
/// The fingerprint of a hashed password reveals nothing, because the entry has a random salt. That of a
/// plain password allows offline guessing, so a file with fingerprints belongs to the server alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CredentialFingerprint {
    salt: [u8; SALT_BYTES],
    digest: [u8; DIGEST_BYTES],
}

impl CredentialFingerprint {
    /// Computes the fingerprint of a credential. The salt must be random.
    pub(crate) fn new(user: &UserName, password: &Password, salt: [u8; SALT_BYTES]) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(salt);
        stored_credential(user, password, |part| hasher.update(part));
        Self {
            salt,
            digest: hasher.finalize().into(),
        }
    }

    /// Returns true if this is the fingerprint of the credential.
    pub(crate) fn is_of(&self, user: &UserName, password: &Password) -> bool {
        *self == Self::new(user, password, self.salt)
    }
}

/// Passes on the parts of a text that differs for each two credentials.
pub(crate) fn stored_credential(user: &UserName, password: &Password, mut part: impl FnMut(&[u8])) {
    part(user.as_str().as_bytes());
    // A user name has no `:`.
    match password {
        Password::Plain(password) => {
            part(b":plain:");
            part(password.expose().as_bytes());
        }
        Password::Hash(hash) => {
            part(b":hash:");
            part(Zeroizing::new(hash.to_string()).as_bytes());
        }
    }
}

impl fmt::Display for CredentialFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [self.salt.as_slice(), self.digest.as_slice()].concat();
        f.write_str(&STANDARD_NO_PAD.encode(bytes))
    }
}

impl FromStr for CredentialFingerprint {
    type Err = FingerprintError;

    fn from_str(text: &str) -> Result<Self, FingerprintError> {
        let bytes = STANDARD_NO_PAD.decode(text).map_err(|_| FingerprintError)?;
        let (salt, digest) = bytes.split_first_chunk().ok_or(FingerprintError)?;
        Ok(Self {
            salt: *salt,
            digest: digest.try_into().map_err(|_| FingerprintError)?,
        })
    }
}

/// A text that is not the fingerprint of a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a fingerprint is written by the server, as 64 characters of base64")]
pub struct FingerprintError;
