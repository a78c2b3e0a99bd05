//! Mutations of the seeds.

use proptest::{prelude::*, sample::Index};

/// The longest seed that is mutated. Longer ones only exceed limits, and are slow to check.
const MAX_BYTES: usize = 4096;

/// Bytes that parsers treat specially.
const DELIMITERS: &[&str] = &[
    "\r\n",
    "\n",
    "\r",
    "\r\n\r\n",
    ":",
    " ",
    "\t",
    ",",
    "\0",
    "\x1b",
    "@",
    "/",
    "[",
    "]",
    "#",
    "?",
    "0",
    "websocket",
    "upgrade",
    "\u{202e}",
];

/// A mutation.
#[derive(Debug, Clone)]
enum Mutation {
    Replace(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index, usize),
    Repeat(Index, usize),
    /// Replaces the rest by that of another seed.
    Splice(Index, Index),
}

/// Returns a strategy of seeds with a few mutations each.
pub(crate) fn mutated(seeds: Vec<(String, Vec<u8>)>) -> impl Strategy<Value = Vec<u8>> {
    let seeds: Vec<_> = seeds
        .into_iter()
        .map(|(_, seed)| seed)
        .filter(|seed| (1..=MAX_BYTES).contains(&seed.len()))
        .collect();
    let mutations = prop::collection::vec(mutation(), 0..6);
    (any::<Index>(), mutations).prop_map(move |(seed, mutations)| {
        let mut bytes = seed.get(&seeds).clone();
        for mutation in mutations {
            apply(&mutation, &mut bytes, &seeds);
        }
        bytes
    })
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let at = any::<Index>;
    let piece = prop_oneof![
        prop::collection::vec(any::<u8>(), 1..4),
        prop::sample::select(DELIMITERS).prop_map(|text| text.as_bytes().to_vec()),
    ];
    prop_oneof![
        (at(), any::<u8>()).prop_map(|(at, byte)| Mutation::Replace(at, byte)),
        (at(), piece).prop_map(|(at, piece)| Mutation::Insert(at, piece)),
        (at(), 1_usize..40).prop_map(|(at, len)| Mutation::Remove(at, len)),
        (at(), 1_usize..40).prop_map(|(at, len)| Mutation::Repeat(at, len)),
        (at(), at()).prop_map(|(at, other)| Mutation::Splice(at, other)),
    ]
}

fn apply(mutation: &Mutation, bytes: &mut Vec<u8>, seeds: &[Vec<u8>]) {
    // The end of the bytes is a valid position for insertions.
    let position = |at: &Index| at.index(bytes.len() + 1);
    match mutation {
        Mutation::Replace(at, byte) => {
            let at = position(at);
            if let Some(replaced) = bytes.get_mut(at) {
                *replaced = *byte;
            }
        }
        Mutation::Insert(at, piece) => {
            let at = position(at);
            bytes.splice(at..at, piece.iter().copied());
        }
        Mutation::Remove(at, len) => {
            let at = position(at);
            bytes.drain(at..bytes.len().min(at + len));
        }
        Mutation::Repeat(at, len) => {
            let at = position(at);
            let piece = bytes[at..bytes.len().min(at + len)].to_vec();
            bytes.splice(at..at, piece);
        }
        Mutation::Splice(at, other) => {
            let at = position(at);
            let other = other.get(seeds);
            bytes.truncate(at);
            bytes.extend_from_slice(&other[other.len().min(at)..]);
        }
    }
}
