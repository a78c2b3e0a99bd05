//! A simple reader of header fields.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use sha1::{Digest as _, Sha1};

/// A header field: its lower-case name, and its value without surrounding white space.
pub(super) type Field = (String, Vec<u8>);

/// Returns a header field.
pub(super) fn field(name: &str, value: &[u8]) -> Field {
    (name.to_ascii_lowercase(), trimmed(value).to_vec())
}

/// Returns the values of all fields of this name, in order.
pub(super) fn values<'f>(fields: &'f [Field], name: &str) -> Vec<&'f [u8]> {
    let named = fields.iter().filter(|field| field.0 == name);
    named.map(|field| field.1.as_slice()).collect()
}

/// Returns whether a list in the fields of this name contains this token, in any case.
pub(super) fn lists(fields: &[Field], name: &str, token: &str) -> bool {
    let values = values(fields, name);
    let mut tokens = values
        .iter()
        .flat_map(|value| value.split(|byte| *byte == b','));
    tokens.any(|found| trimmed(found).eq_ignore_ascii_case(token.as_bytes()))
}

/// Returns the accept value for a key (RFC 6455 section 4.2.2).
pub(super) fn accept(key: &[u8]) -> String {
    let digest = Sha1::new()
        .chain_update(key)
        .chain_update("258EAFA5-E914-47DA-95CA-C5AB0DC85B11")
        .finalize();
    BASE64_STANDARD.encode(digest)
}

/// Removes surrounding spaces and tabs.
fn trimmed(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}
