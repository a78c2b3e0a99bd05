//! Where one frame ends and the next begins (RFC 6455 section 5.2).

/// The opcode of a Close frame.
const CLOSE: u8 = 0x8;

/// Opcodes from here on belong to control frames.
const FIRST_CONTROL: u8 = 0x8;

/// Follows the boundaries of the frames in a byte stream, reading nothing but their headers.
///
/// The WebSocket library above decodes the frames; this tells what it can't tell: how long the frame
/// is that just began, before anybody reserves memory for it, and whether the stream rests between
/// two messages.
#[derive(Debug, Default)]
pub(crate) struct FrameTracker {
    /// The first bytes of a header that is not complete: at most 2 bytes and 8 of length.
    header: [u8; 10],
    header_len: u8,
    flags: Flags,
    /// What is left of the frame in hand: its mask and its payload.
    left: u64,
}

#[derive(Debug, Default, Clone, Copy)]
struct Flags {
    /// A message was begun and its last fragment is still to come.
    in_message: bool,
    close_seen: bool,
}

/// What [`FrameTracker::advance`] found in a piece of the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Advance {
    /// How many bytes of the piece may be passed on.
    pub(crate) taken: usize,
    /// How many frames began in them.
    pub(crate) frames: usize,
    /// The next byte completes the header of a frame that is longer than was allowed.
    pub(crate) too_long: bool,
}

impl FrameTracker {
    /// Follows a piece of the stream. Where only so many bytes are `allowed`, counted from the start
    /// of the piece, it stops before the byte that completes a header which announces more.
    pub(crate) fn advance(&mut self, piece: &[u8], allowed: Option<u64>) -> Advance {
        let mut at = 0;
        let mut frames = 0;
        while at < piece.len() {
            if self.left > 0 {
                let rest = (piece.len() - at) as u64;
                let skipped = self.left.min(rest);
                self.left -= skipped;
                // It is at most `rest`, which came from a usize.
                at += usize::try_from(skipped).unwrap_or(piece.len() - at);
                continue;
            }
            self.header[usize::from(self.header_len)] = piece[at];
            if let Some(announced) = length(&self.header[..=usize::from(self.header_len)]) {
                let after_header = allowed.map(|allowed| allowed.saturating_sub(at as u64 + 1));
                if after_header.is_some_and(|left| announced > left) {
                    return Advance {
                        taken: at,
                        frames,
                        too_long: true,
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
            taken: at,
            frames,
            too_long: false,
        }
    }

    /// Whether the stream stands between two messages, so that a decoder which saw all of it so far
    /// holds nothing back.
    pub(crate) fn rests(&self) -> bool {
        self.header_len == 0 && self.left == 0 && !self.flags.in_message
    }

    /// Whether the header of a Close frame came by.
    pub(crate) fn close_seen(&self) -> bool {
        self.flags.close_seen
    }

    /// Takes note of a complete header.
    fn begin(&mut self, announced: u64) {
        let fin = self.header[0] & 0x80 != 0;
        let opcode = self.header[0] & 0x0F;
        if opcode < FIRST_CONTROL {
            self.flags.in_message = !fin;
        } else if opcode == CLOSE {
            self.flags.close_seen = true;
        }
        self.header_len = 0;
        self.left = announced;
    }
}

/// How many bytes follow a header, mask included; none while its length field is incomplete. A
/// length that overflows with its mask is as good as endless.
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

    use super::{Advance, FrameTracker};

    const ALL: Option<u64> = None;

    /// A masked frame: header, mask of zeros, payload of zeros.
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
    fn rests_only_between_messages() {
        let mut tracker = FrameTracker::default();
        assert!(tracker.rests());
        let text = frame(0x81, 3);
        tracker.advance(&text[..1], ALL);
        assert!(!tracker.rests());
        tracker.advance(&text[1..8], ALL);
        assert!(!tracker.rests());
        tracker.advance(&text[8..], ALL);
        assert!(tracker.rests());
        // A fragmented message with a ping between its fragments.
        tracker.advance(&frame(0x01, 2), ALL);
        assert!(!tracker.rests());
        tracker.advance(&frame(0x89, 0), ALL);
        assert!(!tracker.rests());
        tracker.advance(&frame(0x80, 0), ALL);
        assert!(tracker.rests());
    }

    #[test]
    fn stops_before_a_header_that_announces_too_much() {
        let mut tracker = FrameTracker::default();
        let mut piece = frame(0x81, 5);
        let first = piece.len();
        piece.extend(frame(0x82, 1 << 20));
        let advance = tracker.advance(&piece, Some(16 * 1024));
        // The long header has 10 bytes before its mask; its last one is withheld.
        assert_eq!(
            advance,
            Advance {
                taken: first + 9,
                frames: 1,
                too_long: true
            }
        );
    }

    #[test]
    fn an_endless_length_does_not_overflow() {
        let mut header = vec![0x82, 0xFF];
        header.extend(u64::MAX.to_be_bytes());
        let advance = FrameTracker::default().advance(&header, Some(1 << 40));
        assert_eq!(
            advance,
            Advance {
                taken: 9,
                frames: 0,
                too_long: true
            }
        );
    }

    #[test]
    fn a_frame_of_exactly_what_is_allowed_passes() {
        let bytes = frame(0x81, 100);
        let whole = bytes.len() as u64;
        let advance = FrameTracker::default().advance(&bytes, Some(whole));
        assert_eq!(
            advance,
            Advance {
                taken: bytes.len(),
                frames: 1,
                too_long: false
            }
        );
        assert!(
            FrameTracker::default()
                .advance(&bytes, Some(whole - 1))
                .too_long
        );
    }

    #[test]
    fn sees_the_header_of_a_close_frame() {
        let mut tracker = FrameTracker::default();
        tracker.advance(&frame(0x81, 0x88), ALL);
        assert!(!tracker.close_seen());
        tracker.advance(&frame(0x88, 2)[..2], ALL);
        assert!(tracker.close_seen());
    }

    proptest! {
        #[test]
        fn does_not_depend_on_how_the_stream_is_cut(
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
            prop_assert!(tracker.rests());
        }
    }
}
