//! Encoding of masked client frames and parsing of server frames (RFC 6455 section 5.2).

/// The masking key of every frame (RFC 6455 section 5.3). A constant makes the bytes reproducible.
const MASK: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];

/// A complete, unmasked frame from a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// The first byte: FIN, RSV1 to RSV3 and the opcode.
    pub first: u8,
    /// The payload.
    pub payload: Vec<u8>,
}

impl Frame {
    /// Parses a frame at the start of `bytes`. Returns it with its length in bytes, or `None` if it is
    /// incomplete.
    ///
    /// # Panics
    ///
    /// If the frame is masked: a server must not mask (RFC 6455 section 5.1).
    pub fn parse(bytes: &[u8]) -> Option<(Self, usize)> {
        let &[first, second, ref rest @ ..] = bytes else {
            return None;
        };
        assert!(second & 0x80 == 0, "a server does not mask");
        let (length, rest) = match second {
            126 => {
                let (length, rest) = rest.split_first_chunk()?;
                (u64::from(u16::from_be_bytes(*length)), rest)
            }
            127 => {
                let (length, rest) = rest.split_first_chunk()?;
                (u64::from_be_bytes(*length), rest)
            }
            short => (u64::from(short), rest),
        };
        let payload = rest.get(..usize::try_from(length).ok()?)?;
        let frame = Self {
            first,
            payload: payload.to_vec(),
        };
        Some((frame, bytes.len() - rest.len() + payload.len()))
    }

    /// Returns the code and the reason of a Close frame. A frame without a code yields 1005.
    ///
    /// # Panics
    ///
    /// If the reason is not UTF-8.
    pub fn close(&self) -> (u16, String) {
        match self.payload.split_first_chunk() {
            Some((code, reason)) => {
                let reason = String::from_utf8(reason.to_vec()).expect("a reason is UTF-8");
                (u16::from_be_bytes(*code), reason)
            }
            None => (1005, String::new()),
        }
    }
}

/// Encodes a masked frame with this first byte.
pub fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = header(first, payload.len() as u64);
    bytes.extend(
        payload
            .iter()
            .zip(MASK.iter().cycle())
            .map(|(byte, mask)| byte ^ mask),
    );
    bytes
}

/// Encodes the header of a masked frame, with its masking key, for a payload of this length.
pub fn header(first: u8, length: u64) -> Vec<u8> {
    let mut bytes = vec![first];
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short @ 0..=125), _) => bytes.push(0x80 | short),
        (_, Ok(medium)) => {
            bytes.push(0xFE);
            bytes.extend(medium.to_be_bytes());
        }
        (_, Err(_)) => {
            bytes.push(0xFF);
            bytes.extend(length.to_be_bytes());
        }
    }
    bytes.extend(MASK);
    bytes
}

/// Encodes a text message of one frame.
pub fn text(text: &str) -> Vec<u8> {
    masked(0x81, text.as_bytes())
}

/// Encodes a binary message of one frame.
pub fn binary(bytes: &[u8]) -> Vec<u8> {
    masked(0x82, bytes)
}

/// Encodes a Ping frame.
pub fn ping(payload: &[u8]) -> Vec<u8> {
    masked(0x89, payload)
}

/// Encodes a Pong frame.
pub fn pong(payload: &[u8]) -> Vec<u8> {
    masked(0x8A, payload)
}

/// Encodes a Close frame with a code and a reason.
pub fn close(code: u16, reason: &str) -> Vec<u8> {
    masked(0x88, &[&code.to_be_bytes(), reason.as_bytes()].concat())
}
