//! Frames of RFC 6455 section 5.2, to make and to read.

/// What every frame made here is masked with.
const MASK: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];

/// A frame that came from a server: whole, and not masked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// The first byte: FIN, RSV1 to RSV3 and the opcode.
    pub first: u8,
    /// The payload.
    pub payload: Vec<u8>,
}

impl Frame {
    /// Reads a frame at the start of some bytes, and how long it is; none if it is not complete.
    ///
    /// # Panics
    ///
    /// If it is masked, which no server's frame is.
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

    /// The code and the reason of a Close frame; 1005 if there is no code.
    ///
    /// # Panics
    ///
    /// If they are malformed.
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

/// A masked frame with this first byte.
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

/// The header of a masked frame, with its mask, that announces a payload of this length.
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

/// A whole text message.
pub fn text(text: &str) -> Vec<u8> {
    masked(0x81, text.as_bytes())
}

/// A whole binary message.
pub fn binary(bytes: &[u8]) -> Vec<u8> {
    masked(0x82, bytes)
}

/// A ping.
pub fn ping(payload: &[u8]) -> Vec<u8> {
    masked(0x89, payload)
}

/// A pong.
pub fn pong(payload: &[u8]) -> Vec<u8> {
    masked(0x8A, payload)
}

/// A Close frame with a code and a reason.
pub fn close(code: u16, reason: &str) -> Vec<u8> {
    masked(0x88, &[&code.to_be_bytes(), reason.as_bytes()].concat())
}
