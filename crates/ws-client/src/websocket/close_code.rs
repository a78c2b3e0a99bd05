//! The close code of the server, read from the frames themselves (RFC 6455 sections 5.2 and 5.5.1).
//! tungstenite reports 1002 in place of a code that must not be sent, so that it looks like the
//! server's own.

/// The opcode of a Close frame.
const CLOSE: u8 = 0x8;

/// A parser of a server's frames that only looks for a Close frame. Invalid frames are left to
/// tungstenite, which ends the connection.
#[derive(Debug, Default)]
pub(super) struct CloseCodeReader {
    /// The first bytes of an incomplete header: 2 bytes, and up to 8 of extended length.
    header: [u8; 10],
    header_len: usize,
    /// The remaining bytes of the current payload.
    left: u64,
    /// The first bytes of the payload of a Close frame.
    code: [u8; 2],
    code_len: usize,
    in_close: bool,
}

impl CloseCodeReader {
    /// Parses received bytes.
    pub(super) fn push(&mut self, mut bytes: &[u8]) {
        while let [byte, rest @ ..] = bytes {
            if self.left > 0 {
                let payload = usize::try_from(self.left)
                    .unwrap_or(usize::MAX)
                    .min(bytes.len());
                self.payload(&bytes[..payload]);
                bytes = &bytes[payload..];
            } else {
                self.header[self.header_len] = *byte;
                self.header_len += 1;
                self.begin();
                bytes = rest;
            }
        }
    }

    /// Returns the code of the first Close frame that has one.
    pub(super) fn code(&self) -> Option<u16> {
        (self.code_len == self.code.len()).then(|| u16::from_be_bytes(self.code))
    }

    fn payload(&mut self, payload: &[u8]) {
        if self.in_close {
            for byte in payload.iter().take(self.code.len() - self.code_len) {
                self.code[self.code_len] = *byte;
                self.code_len += 1;
            }
        }
        self.left -= payload.len() as u64;
    }

    /// Begins the payload if the header is complete.
    fn begin(&mut self) {
        let length = match (self.header[1] & 0x7F, &self.header[..self.header_len]) {
            (126, [_, _, a, b]) => u64::from(u16::from_be_bytes([*a, *b])),
            (127, [_, _, length @ ..]) => match <[u8; 8]>::try_from(length) {
                Ok(length) => u64::from_be_bytes(length),
                Err(_) => return,
            },
            (_, [_] | []) | (126, _) => return,
            (short, _) => u64::from(short),
        };
        self.in_close = self.header[0] & 0x0F == CLOSE;
        self.header_len = 0;
        self.left = length;
    }
}

#[cfg(test)]
mod tests {
    use super::CloseCodeReader;

    #[test]
    fn close_code_is_found_between_frames() {
        let frames = [
            &[0x81, 3, 0x88, 2, 0x88][..],
            &[0x82, 126, 1, 0],
            &[0x88; 256],
            &[0x01, 127, 0, 0, 0, 0, 0, 0, 0, 1, 0x88],
            &[0x89, 0],
            &[0x88, 4, 0x03, 0xED, b'o', b'k'],
            &[0x88, 2, 0x03, 0xE8],
        ];
        let stream = frames.concat();
        for size in [1, 3, stream.len()] {
            let mut reader = CloseCodeReader::default();
            assert_eq!(reader.code(), None);
            for bytes in stream.chunks(size) {
                reader.push(bytes);
            }
            assert_eq!(reader.code(), Some(1005));
        }
        let mut reader = CloseCodeReader::default();
        reader.push(&[0x88, 0]);
        assert_eq!(reader.code(), None);
    }
}
