//! `Sec-WebSocket-Key`, and the accept value that proves it was understood (RFC 6455 section 1.3).

use base64::{Engine as _, prelude::BASE64_STANDARD};
use sha1::{Digest as _, Sha1};

/// What RFC 6455 appends to every key before it is hashed.
pub const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The value of a `Sec-WebSocket-Key` field: 16 bytes in base64.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key(String);

impl Key {
    /// Makes a key of 16 random bytes, which the caller draws anew for each handshake.
    pub fn new(nonce: [u8; 16]) -> Self {
        Self(BASE64_STANDARD.encode(nonce))
    }

    /// Takes the value of a field, if it is base64 of exactly 16 bytes.
    pub fn parse(field: &str) -> Result<Self, KeyError> {
        match BASE64_STANDARD.decode(field) {
            Ok(nonce) if nonce.len() == 16 => Ok(Self(field.to_owned())),
            Ok(_) | Err(_) => Err(KeyError),
        }
    }

    /// The key as the field has it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// SHA-1 of the key followed by [`GUID`].
    pub fn digest(&self) -> [u8; 20] {
        Sha1::new()
            .chain_update(&self.0)
            .chain_update(GUID)
            .finalize()
            .into()
    }

    /// What the server must answer in `Sec-WebSocket-Accept`: base64 of the digest.
    pub fn accept(&self) -> String {
        BASE64_STANDARD.encode(self.digest())
    }
}

/// A text that is not a [`Key`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a key is base64 of 16 bytes")]
pub struct KeyError;

#[cfg(test)]
mod tests {
    use super::{Key, KeyError};

    #[test]
    fn computes_the_example_of_the_rfc() {
        let key = Key::parse("dGhlIHNhbXBsZSBub25jZQ==").unwrap();
        assert_eq!(key.accept(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!(Key::new(*b"the sample nonce"), key);
    }

    #[test]
    fn refuses_what_is_not_base64_of_16_bytes() {
        for field in [
            "",
            "x",
            "dGhlIHNhbXBsZSBub25jZQ",
            "dGhlIHNhbXBsZQ==",
            "AAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        ] {
            assert_eq!(Key::parse(field), Err(KeyError), "{field:?}");
        }
    }
}
