//! `Sec-WebSocket-Key` and the accept value that is computed from it (RFC 6455 sections 1.3, 4.2.2).

use base64::{Engine as _, prelude::BASE64_STANDARD};
use sha1::{Digest as _, Sha1};

/// The string that is appended to every key before hashing (RFC 6455 section 1.3).
pub const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

const HEX: [char; 16] = [
    '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f',
];

/// The value of a `Sec-WebSocket-Key` field: 16 bytes in base64 (RFC 6455 section 11.3.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key(String);

impl Key {
    /// Encodes a nonce of 16 bytes, which must be random for each handshake (RFC 6455 section 4.1).
    pub fn new(nonce: [u8; 16]) -> Self {
        Self(BASE64_STANDARD.encode(nonce))
    }

    /// Parses the value of a `Sec-WebSocket-Key` field.
    ///
    /// # Errors
    ///
    /// A value that is not base64 of exactly 16 bytes.
    pub fn parse(field: &str) -> Result<Self, KeyError> {
        match BASE64_STANDARD.decode(field) {
            Ok(nonce) if nonce.len() == 16 => Ok(Self(field.to_owned())),
            Ok(_) | Err(_) => Err(KeyError),
        }
    }

    /// Returns the value of the field.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the SHA-1 of the key followed by [`GUID`].
    pub fn digest(&self) -> [u8; 20] {
        Sha1::new()
            .chain_update(&self.0)
            .chain_update(GUID)
            .finalize()
            .into()
    }

    /// Returns the digest as 40 hexadecimal digits, for display.
    pub fn digest_hex(&self) -> String {
        let digits = |byte: &u8| [byte >> 4, byte & 15].map(|digit| HEX[usize::from(digit)]);
        self.digest().iter().flat_map(digits).collect()
    }

    /// Returns the value for `Sec-WebSocket-Accept`: the digest in base64 (RFC 6455 section 4.2.2).
    pub fn accept(&self) -> String {
        BASE64_STANDARD.encode(self.digest())
    }
}

/// An invalid `Sec-WebSocket-Key`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a key is base64 of 16 bytes")]
pub struct KeyError;

#[cfg(test)]
mod tests {
    use super::{Key, KeyError};

    #[test]
    fn rfc_example_key_yields_its_accept_value() {
        let key = Key::parse("dGhlIHNhbXBsZSBub25jZQ==").unwrap();
        assert_eq!(key.accept(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!(key.digest_hex(), "b37a4f2cc0624f1690f64606cf385945b2bec4ea");
        assert_eq!(Key::new(*b"the sample nonce"), key);
    }

    #[test]
    fn field_not_base64_of_16_bytes_refused() {
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
