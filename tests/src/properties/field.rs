//! Fields of HTTP, read in the simplest way.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use sha1::{Digest as _, Sha1};

/// A field: its name in lower case, and its value without the white space around it.
pub(super) type Field = (String, Vec<u8>);

/// A field of this name and value.
pub(super) fn field(name: &str, value: &[u8]) -> Field {
    (name.to_ascii_lowercase(), trimmed(value).to_vec())
}

/// The values of all fields of this name, in order.
pub(super) fn values<'f>(fields: &'f [Field], name: &str) -> Vec<&'f [u8]> {
    let named = fields.iter().filter(|field| field.0 == name);
    named.map(|field| field.1.as_slice()).collect()
}

/// Whether one of the lists in the fields of this name has this token, in whatever case.
pub(super) fn lists(fields: &[Field], name: &str, token: &str) -> bool {
    let values = values(fields, name);
    let mut tokens = values
        .iter()
        .flat_map(|value| value.split(|byte| *byte == b','));
    tokens.any(|found| trimmed(found).eq_ignore_ascii_case(token.as_bytes()))
}

/// What RFC 6455 section 4.2.2 answers a key with.
pub(super) fn accept(key: &[u8]) -> String {
    let digest = Sha1::new()
        .chain_update(key)
        .chain_update("258EAFA5-E914-47DA-95CA-C5AB0DC85B11")
        .finalize();
    BASE64_STANDARD.encode(digest)
}

/// Without the spaces and tabs around it.
fn trimmed(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}
