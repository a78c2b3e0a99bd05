//! The frame boundaries of the stream (RFC 6455 section 5.2).
//!
//! tungstenite decodes the frames. Its limits apply to each message and each frame, and not to all
//! bytes before the login together, which include pings and empty fragments. So this module reads the
//! frame headers as well.

/// The opcode of a Close frame.
const CLOSE: u8 = 0x8;

/// The lowest opcode of control frames.
const FIRST_CONTROL: u8 = 0x8;

/// The maximum payload of a control frame (RFC 6455 section 5.5).
const MAX_CONTROL_BYTES: u8 = 125;

/// A parser of the headers of a peer's frames, which tracks the frame boundaries.
///
/// tungstenite decodes each frame when it is complete. The tracker detects an error at the header,
/// before tungstenite waits or allocates memory for the payload. It also knows if the stream is
/// between two messages.
#[derive(Debug, Default)]
pub(crate) struct FrameTracker {
    /// The first bytes of an incomplete header: 2 bytes, and up to 8 of extended length.
    header: [u8; 10],
    header_len: u8,
    /// A fragmented message has begun, and its last fragment is still missing.
    in_message: bool,
    close: Close,
    /// The begin of the Close frame after its header: masking key and close code.
    close_start: [u8; 6],
    close_start_len: u8,
    /// The frames are those of a server, which are not masked (RFC 6455 section 5.1).
    from_server: bool,
    /// The remaining bytes of the current frame: masking key and payload.
    left: u64,
    /// The bytes of the current message, as its frames so far announce them.
    message: u64,
    /// The longest data frame or message since [`FrameTracker::reset_longest`].
    longest: u64,
}

/// The state of a Close frame in the stream.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Close {
    #[default]
    Nothing,
    Header,
    All,
}

/// An error in a frame, detected at its header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FrameError {
    /// The frame violates RFC 6455 sections 5.1 to 5.5.
    ProtocolViolation,
    /// The frame exceeds the allowed bytes.
    TooLarge,
}

/// The result of [`FrameTracker::advance`] for a piece of the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Advance {
    /// The number of bytes of the piece that may be passed on.
    pub(crate) taken: usize,
    /// The number of frames that began in them.
    pub(crate) frames: usize,
    /// The error in the frame whose header the next byte completes.
    pub(crate) error: Option<FrameError>,
}

impl FrameTracker {
    /// Creates a tracker of the frames that a server sends.
    pub(crate) fn of_server() -> Self {
        Self {
            from_server: true,
            ..Self::default()
        }
    }

    /// Parses a piece of the stream, up to the byte before an erroneous frame's header is complete.
    /// A frame that would exceed `allowed` bytes, counted from the start of the piece, is an error.
    pub(crate) fn advance(&mut self, piece: &[u8], allowed: Option<u64>) -> Advance {
        let mut frames = 0;
        let mut at = 0;
        while at < piece.len() {
            at += self.skip_payload(&piece[at..]);
            let Some(byte) = piece.get(at) else { break };
            if let Some(announced) = self.announced(*byte) {
                let left = allowed.map(|allowed| allowed.saturating_sub(at as u64 + 1));
                let error = if self.breaks_protocol() {
                    Some(FrameError::ProtocolViolation)
                } else if left.is_some_and(|left| announced > left) {
                    Some(FrameError::TooLarge)
                } else {
                    None
                };
                if error.is_some() {
                    return Advance {
                        taken: at,
                        frames,
                        error,
                    };
                }
                self.begin(announced);
                frames += 1;
            } else {
                self.header_len += 1;
            }
            at += 1;
        }
        Advance {
            taken: piece.len(),
            frames,
            error: None,
        }
    }

    /// Parses a piece of the stream that is discarded, and ignores errors.
    pub(crate) fn skip(&mut self, piece: &[u8]) {
        let mut at = 0;
        while at < piece.len() {
            at += self.skip_payload(&piece[at..]);
            let Some(byte) = piece.get(at) else { break };
            match self.announced(*byte) {
                Some(announced) => self.begin(announced),
                None => self.header_len += 1,
            }
            at += 1;
        }
    }

    /// Returns true if the stream is between two messages, so that the decoder holds no partial
    /// message.
    pub(crate) fn is_at_message_boundary(&self) -> bool {
        self.header_len == 0 && self.left == 0 && !self.in_message
    }

    /// Returns the bytes that the decoder holds. It reserves memory for a whole frame, and keeps it for
    /// the next ones. Fragments are collected in other memory, which the service holds after the last
    /// one.
    pub(crate) fn decoder_bytes(&self) -> u64 {
        let fragments = if self.in_message { self.message } else { 0 };
        self.longest.saturating_add(fragments)
    }

    /// Begins anew with the longest frame or message, because the decoder was replaced.
    pub(crate) fn reset_longest(&mut self) {
        self.longest = 0;
    }

    /// Returns the number of remaining bytes of the current frame.
    pub(crate) fn left(&self) -> u64 {
        self.left
    }

    /// Returns true if a complete Close frame was seen.
    pub(crate) fn close_seen(&self) -> bool {
        self.close == Close::All
    }

    /// Returns the close code of the Close frame, as far as it was seen. tungstenite reports 1002 in
    /// place of a code that must not be sent.
    pub(crate) fn close_code(&self) -> Option<u16> {
        let [a, b, _, _, first, second] = self.close_start;
        match (self.from_server, self.close_start_len) {
            (false, 6..) => Some(u16::from_be_bytes([first ^ a, second ^ b])),
            (true, 2..) => Some(u16::from_be_bytes([a, b])),
            _ => None,
        }
    }

    /// Skips the remaining bytes of the current frame in this piece. Returns their number.
    fn skip_payload(&mut self, piece: &[u8]) -> usize {
        let skipped = usize::try_from(self.left)
            .unwrap_or(usize::MAX)
            .min(piece.len());
        if self.close == Close::Header {
            self.keep_close_start(&piece[..skipped]);
        }
        self.left -= skipped as u64;
        self.note_end();
        skipped
    }

    /// Keeps the masking key and the close code of a Close frame.
    // Not inlined: each frame would cost more instructions.
    #[cold]
    fn keep_close_start(&mut self, bytes: &[u8]) {
        for byte in bytes.iter().take(self.close_start.len()) {
            if let Some(place) = self.close_start.get_mut(usize::from(self.close_start_len)) {
                *place = *byte;
                self.close_start_len += 1;
            }
        }
    }

    /// Stores the next byte of a header without counting it. If it completes the header, returns the
    /// number of bytes that follow.
    fn announced(&mut self, byte: u8) -> Option<u64> {
        self.header[usize::from(self.header_len)] = byte;
        length(&self.header[..=usize::from(self.header_len)])
    }

    /// Returns true if the complete header violates the protocol: reserved bits or opcode, a missing or
    /// unexpected mask, a misplaced fragment, or a long or fragmented control frame.
    fn breaks_protocol(&self) -> bool {
        let [first, second, ..] = self.header;
        let (fin, reserved, opcode) = (first & 0x80 != 0, first & 0x70 != 0, first & 0x0F);
        let (masked, length) = (second & 0x80 != 0, second & 0x7F);
        let out_of_place = match opcode {
            0x0 => !self.in_message,
            0x1 | 0x2 => self.in_message,
            0x8..=0xA => !fin || length > MAX_CONTROL_BYTES,
            _ => true,
        };
        reserved || masked == self.from_server || out_of_place || self.length_breaks_protocol()
    }

    /// Returns true if the length is not in its shortest form, or has the most significant of 64 bits
    /// set (RFC 6455 section 5.2).
    fn length_breaks_protocol(&self) -> bool {
        let [_, second, extended @ ..] = self.header;
        match second & 0x7F {
            126 => matches!(extended, [0, 0..=125, ..]),
            127 => matches!(extended, [0, 0, 0, 0, 0, 0, ..] | [0x80..=0xFF, ..]),
            _ => false,
        }
    }

    /// Records a complete header.
    fn begin(&mut self, announced: u64) {
        let fin = self.header[0] & 0x80 != 0;
        let opcode = self.header[0] & 0x0F;
        if opcode < FIRST_CONTROL {
            let before = if self.in_message { self.message } else { 0 };
            self.message = before.saturating_add(announced);
            let complete = if fin { self.message } else { announced };
            self.longest = self.longest.max(complete);
            self.in_message = !fin;
        } else if opcode == CLOSE && self.close == Close::Nothing {
            self.close = Close::Header;
        }
        self.header_len = 0;
        self.left = announced;
        self.note_end();
    }

    /// Records the end of a Close frame.
    fn note_end(&mut self) {
        if self.left == 0 && self.close == Close::Header {
            self.close = Close::All;
        }
    }
}

/// Returns the number of bytes after a header's length field, including the masking key, or `None`
/// while that field is incomplete. It saturates at the maximum.
fn length(header: &[u8]) -> Option<u64> {
    let &[_, second, ref extended @ ..] = header else {
        return None;
    };
    let mask = if second & 0x80 != 0 { 4 } else { 0 };
    let payload = match second & 0x7F {
        126 => u64::from(u16::from_be_bytes(extended.try_into().ok()?)),
        127 => u64::from_be_bytes(extended.try_into().ok()?),
        short => u64::from(short),
    };
    Some(payload.saturating_add(mask))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Advance, FrameError, FrameTracker};

    const ALL: Option<u64> = None;

    #[test]
    fn close_code_is_unmasked() {
        let frames = [
            &frame(0x81, 200)[..],
            &[0x88, 0x84, 1, 2, 3, 4, 0x03 ^ 1, 0xED ^ 2, 0, 0],
        ];
        let stream = frames.concat();
        for piece in [1, 3, stream.len()] {
            let mut tracker = FrameTracker::default();
            for piece in stream.chunks(piece) {
                tracker.advance(piece, ALL);
            }
            assert_eq!(tracker.close_code(), Some(1005));
            tracker.skip(&stream);
            assert_eq!(
                tracker.close_code(),
                Some(1005),
                "the first Close frame counts"
            );
        }
        let mut tracker = FrameTracker::default();
        tracker.advance(&frame(0x88, 0), ALL);
        assert_eq!(tracker.close_code(), None);
    }

    #[test]
    fn frames_of_server_are_not_masked() {
        let mut tracker = FrameTracker::of_server();
        let frames = [0x81, 1, 0, 0x88, 3, 0x0F, 0xA1, 0];
        assert_eq!(tracker.advance(&frames, ALL).error, None);
        assert_eq!(tracker.close_code(), Some(4001));
        let masked = FrameTracker::of_server().advance(&frame(0x81, 1), ALL);
        assert_eq!(masked.error, Some(FrameError::ProtocolViolation));
    }

    /// Returns a masked frame with a masking key and a payload of zeros.
    fn frame(first: u8, payload: usize) -> Vec<u8> {
        let mut bytes = vec![first];
        match payload {
            0..=125 => bytes.push(0x80 | u8::try_from(payload).unwrap()),
            126..=0xFFFF => {
                bytes.push(0xFE);
                bytes.extend(u16::try_from(payload).unwrap().to_be_bytes());
            }
            _ => {
                bytes.push(0xFF);
                bytes.extend((payload as u64).to_be_bytes());
            }
        }
        bytes.extend([0; 4]);
        bytes.extend(std::iter::repeat_n(0, payload));
        bytes
    }

    #[test]
    fn boundary_only_between_messages() {
        let mut tracker = FrameTracker::default();
        assert!(tracker.is_at_message_boundary());
        let text = frame(0x81, 3);
        tracker.advance(&text[..1], ALL);
        assert!(!tracker.is_at_message_boundary());
        tracker.advance(&text[1..8], ALL);
        assert!(!tracker.is_at_message_boundary());
        tracker.advance(&text[8..], ALL);
        assert!(tracker.is_at_message_boundary());
        // A fragmented message with a ping between its fragments.
        tracker.advance(&frame(0x01, 2), ALL);
        assert!(!tracker.is_at_message_boundary());
        tracker.advance(&frame(0x89, 0), ALL);
        assert!(!tracker.is_at_message_boundary());
        tracker.advance(&frame(0x80, 0), ALL);
        assert!(tracker.is_at_message_boundary());
    }

    #[test]
    fn frame_over_allowance_stops_at_header() {
        let mut tracker = FrameTracker::default();
        let mut piece = frame(0x81, 5);
        let first = piece.len();
        piece.extend(frame(0x82, 1 << 20));
        let advance = tracker.advance(&piece, Some(16 * 1024));
        // The header has 10 bytes before the masking key. The last one is not passed on.
        assert_eq!(
            advance,
            Advance {
                taken: first + 9,
                frames: 1,
                error: Some(FrameError::TooLarge),
            }
        );
    }

    #[test]
    fn maximum_length_does_not_overflow() {
        let mut header = vec![0x82, 0xFF];
        header.extend((u64::MAX >> 1).to_be_bytes());
        let advance = FrameTracker::default().advance(&header, Some(1 << 40));
        assert_eq!(
            advance,
            Advance {
                taken: 9,
                frames: 0,
                error: Some(FrameError::TooLarge),
            }
        );
    }

    #[test]
    fn frame_of_exact_allowance_passes() {
        let bytes = frame(0x81, 100);
        let whole = bytes.len() as u64;
        let advance = FrameTracker::default().advance(&bytes, Some(whole));
        assert_eq!(
            advance,
            Advance {
                taken: bytes.len(),
                frames: 1,
                error: None,
            }
        );
        assert!(
            FrameTracker::default()
                .advance(&bytes, Some(whole - 1))
                .error
                .is_some()
        );
    }

    #[test]
    fn protocol_violation_found_at_header() {
        let in_message = frame(0x01, 1);
        for (before, header, name) in [
            (&[][..], &b"\x82\x7e\xff\x00"[..], "not masked"),
            (&[], b"\xc1\x80", "RSV1"),
            (&[], b"\xa1\x80", "RSV2"),
            (&[], b"\x91\x80", "RSV3"),
            (&[], b"\x83\x80", "reserved data opcode"),
            (&[], b"\x8b\x80", "reserved control opcode"),
            (&[], b"\x89\xfe\xea\x60", "long ping"),
            (&[], b"\x09\x80", "fragmented ping"),
            (&[], b"\x82\xfe\x00\x7d", "125 in 16 bits"),
            (
                &[],
                b"\x82\xff\x00\x00\x00\x00\x00\x00\xff\xff",
                "65535 in 64 bits",
            ),
            (
                &[],
                b"\x82\xff\x80\x00\x00\x00\x00\x00\x00\x00",
                "the highest bit of a length",
            ),
            (&[], b"\x80\x80", "continuation of nothing"),
            (&in_message, b"\x81\x80", "a message within a message"),
        ] {
            let mut tracker = FrameTracker::default();
            assert_eq!(tracker.advance(before, ALL).error, None, "{name}");
            let advance = tracker.advance(header, ALL);
            let expected = Advance {
                taken: header.len() - 1,
                frames: 0,
                error: Some(FrameError::ProtocolViolation),
            };
            assert_eq!(advance, expected, "{name}");
            // Skipping on still finds the next frame.
            tracker.skip(&header[advance.taken..]);
            assert_eq!(tracker.header_len, 0, "{name}");
        }
    }

    #[test]
    fn complete_close_frame_seen() {
        let mut tracker = FrameTracker::default();
        tracker.advance(&frame(0x81, 0x88), ALL);
        assert!(!tracker.close_seen());
        let close = frame(0x88, 2);
        tracker.advance(&close[..7], ALL);
        assert!(!tracker.close_seen(), "the last byte is missing");
        tracker.advance(&close[7..], ALL);
        assert!(tracker.close_seen());
        let mut tracker = FrameTracker::default();
        tracker.skip(b"\x88\x00");
        assert!(tracker.close_seen(), "an empty Close frame");
    }

    proptest! {
        #[test]
        fn result_independent_of_piece_boundaries(
            lengths in proptest::collection::vec(prop_oneof![0_usize..300, 65_000_usize..66_000], 1..5),
            cuts in proptest::collection::vec(1_usize..2000, 1..200),
        ) {
            let stream: Vec<u8> = lengths.iter().flat_map(|length| frame(0x82, *length)).collect();
            let mut tracker = FrameTracker::default();
            let (mut rest, mut frames) = (stream.as_slice(), 0);
            for cut in cuts.iter().cycle() {
                let (piece, after) = rest.split_at(rest.len().min(*cut));
                let advance = tracker.advance(piece, ALL);
                prop_assert_eq!(advance.taken, piece.len());
                frames += advance.frames;
                rest = after;
                if rest.is_empty() { break; }
            }
            prop_assert_eq!(frames, lengths.len());
            prop_assert!(tracker.is_at_message_boundary());
        }
    }
}
