//! Frames that must end a connection, before and after the login.

use raw_peer::{
    HANDSHAKE,
    frame::{binary, close, header, masked, ping, pong, text},
};

use super::attack::attacks;

/// The expected close codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExpectedCodes {
    /// The code before the login.
    pub before_login: u16,
    /// The code in a session.
    pub after_login: u16,
}

/// The default message limit of a session, in bytes.
const MAX_MESSAGE_BYTES: usize = 1024 * 1024;

const MALFORMED: ExpectedCodes = both(1002);
const NOT_UTF8: ExpectedCodes = both(1007);
const TOO_BIG: ExpectedCodes = both(1009);
/// The Close frame is answered with its own code, and later frames are ignored.
const CLOSED: ExpectedCodes = both(1000);
/// Before the login the byte limit applies; in a session, the rate limit of control frames.
const FLOOD: ExpectedCodes = ExpectedCodes {
    before_login: 1009,
    after_login: 1008,
};

attacks!(
    ExpectedCodes,
    bad_frames,
    // The first byte.
    rsv1_without_an_extension("RFC 6455 5.2", MALFORMED, masked(0xC1, b"hi")),
    rsv2("RFC 6455 5.2", MALFORMED, masked(0xA1, b"hi")),
    rsv3("RFC 6455 5.2", MALFORMED, masked(0x91, b"hi")),
    rsv1_on_a_ping("RFC 6455 5.2", MALFORMED, masked(0xC9, b"hi")),
    rsv1_on_a_continuation(
        "RFC 6455 5.2",
        MALFORMED,
        [masked(0x01, b"h"), masked(0xC0, b"i")].concat()
    ),
    first_reserved_data_opcode("RFC 6455 5.2", MALFORMED, masked(0x83, b"hi")),
    last_reserved_data_opcode("RFC 6455 5.2", MALFORMED, masked(0x87, b"hi")),
    first_reserved_control_opcode("RFC 6455 5.2", MALFORMED, masked(0x8B, b"hi")),
    last_reserved_control_opcode("RFC 6455 5.2", MALFORMED, masked(0x8F, b"hi")),
    reserved_opcode_of_a_fragment("RFC 6455 5.2", MALFORMED, masked(0x03, b"hi")),
    request_instead_of_frames("RFC 6455 5.2", MALFORMED, HANDSHAKE.into()),
    tls_instead_of_frames(
        "RFC 6455 5.2",
        MALFORMED,
        b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03".to_vec()
    ),
    // The mask.
    unmasked_text("RFC 6455 5.1", MALFORMED, b"\x81\x0cadmin:123456".to_vec()),
    unmasked_ping("RFC 6455 5.1", MALFORMED, b"\x89\x00".to_vec()),
    unmasked_close("RFC 6455 5.1", MALFORMED, b"\x88\x02\x03\xe8".to_vec()),
    unmasked_continuation(
        "RFC 6455 5.1",
        MALFORMED,
        [masked(0x01, b"h"), b"\x80\x01i".to_vec()].concat()
    ),
    // The length.
    short_length_in_16_bits("RFC 6455 5.2", MALFORMED, in_16_bits(0x81, b"hi")),
    greatest_short_length_in_16_bits("RFC 6455 5.2", MALFORMED, in_16_bits(0x82, &[0; 125])),
    short_length_in_64_bits("RFC 6455 5.2", MALFORMED, in_64_bits(0x81, b"hi")),
    medium_length_in_64_bits("RFC 6455 5.2", MALFORMED, in_64_bits(0x82, &[0; 65_535])),
    length_with_the_highest_bit_set("RFC 6455 5.2", MALFORMED, header(0x82, 1 << 63)),
    length_of_64_bits_all_set("RFC 6455 5.2", MALFORMED, header(0x82, u64::MAX)),
    // Fragments.
    continuation_without_a_message("RFC 6455 5.4", MALFORMED, masked(0x00, b"hi")),
    final_continuation_without_a_message("RFC 6455 5.4", MALFORMED, masked(0x80, b"hi")),
    text_inside_a_fragmented_text(
        "RFC 6455 5.4",
        MALFORMED,
        [masked(0x01, b"h"), text("i")].concat()
    ),
    binary_inside_a_fragmented_text(
        "RFC 6455 5.4",
        MALFORMED,
        [masked(0x01, b"h"), binary(b"i")].concat()
    ),
    fragmented_text_inside_a_binary(
        "RFC 6455 5.4",
        MALFORMED,
        [masked(0x02, b"h"), masked(0x01, b"i")].concat()
    ),
    // Control frames.
    fragmented_ping(
        "RFC 6455 5.5",
        MALFORMED,
        [masked(0x09, b"h"), masked(0x80, b"i")].concat()
    ),
    fragmented_pong("RFC 6455 5.5", MALFORMED, masked(0x0A, b"hi")),
    fragmented_close("RFC 6455 5.5", MALFORMED, masked(0x08, b"\x03\xe8")),
    ping_of_126_bytes("RFC 6455 5.5", MALFORMED, ping(&[0; 126])),
    pong_of_126_bytes("RFC 6455 5.5", MALFORMED, pong(&[0; 126])),
    close_of_126_bytes("RFC 6455 5.5", MALFORMED, close(1000, &"x".repeat(124))),
    ping_of_126_bytes_in_64_bits("RFC 6455 5.5", MALFORMED, in_64_bits(0x89, &[0; 126])),
    short_ping_in_16_bits("RFC 6455 5.2", MALFORMED, in_16_bits(0x89, b"hi")),
    long_ping_header_only("RFC 6455 5.5", MALFORMED, header(0x89, 1 << 40)),
    // Close frames.
    close_with_one_byte("RFC 6455 5.5.1", MALFORMED, masked(0x88, b"\x03")),
    close_with_0("RFC 6455 7.4.2", MALFORMED, close(0, "")),
    close_with_999("RFC 6455 7.4.2", MALFORMED, close(999, "")),
    close_with_1004("RFC 6455 7.4.1", MALFORMED, close(1004, "")),
    close_with_1005("RFC 6455 7.4.1", MALFORMED, close(1005, "")),
    close_with_1006("RFC 6455 7.4.1", MALFORMED, close(1006, "")),
    close_with_1015("RFC 6455 7.4.1", MALFORMED, close(1015, "")),
    close_with_1016("RFC 6455 7.4.2", MALFORMED, close(1016, "")),
    close_with_2999("RFC 6455 7.4.2", MALFORMED, close(2999, "")),
    close_with_5000("RFC 6455 7.4.2", MALFORMED, close(5000, "")),
    close_with_65535("RFC 6455 7.4.2", MALFORMED, close(65_535, "")),
    close_with_a_non_utf8_reason("RFC 6455 5.5.1", NOT_UTF8, masked(0x88, b"\x03\xe8caf\xe9")),
    close_with_a_truncated_reason(
        "RFC 6455 5.5.1",
        NOT_UTF8,
        masked(0x88, b"\x03\xe8\xe4\xbd")
    ),
    text_after_a_close(
        "RFC 6455 5.5.1",
        CLOSED,
        [close(1000, ""), text("hi")].concat()
    ),
    ping_after_a_close(
        "RFC 6455 5.5.1",
        CLOSED,
        [close(1000, ""), ping(b"hi")].concat()
    ),
    two_closes(
        "RFC 6455 5.5.1",
        CLOSED,
        [close(1000, ""), close(1001, "")].concat()
    ),
    final_fragment_after_a_close(
        "RFC 6455 5.5.1",
        CLOSED,
        [masked(0x01, b"h"), close(1000, ""), masked(0x80, b"i")].concat()
    ),
    malformed_frame_after_a_close(
        "RFC 6455 5.5.1",
        CLOSED,
        [close(1000, ""), masked(0xFF, b"hi")].concat()
    ),
    // Invalid text.
    invalid_utf8_byte("RFC 3629 3", NOT_UTF8, masked(0x81, b"\xff")),
    lone_utf8_continuation_byte("RFC 3629 3", NOT_UTF8, masked(0x81, b"admin\x80")),
    overlong_slash("RFC 3629 10", NOT_UTF8, masked(0x81, b"\xc0\xaf")),
    overlong_nul_of_3_bytes("RFC 3629 10", NOT_UTF8, masked(0x81, b"\xe0\x80\x80")),
    surrogate("RFC 3629 3", NOT_UTF8, masked(0x81, b"\xed\xa0\x80")),
    above_the_last_code_point("RFC 3629 3", NOT_UTF8, masked(0x81, b"\xf4\x90\x80\x80")),
    truncated_utf8("RFC 3629 4", NOT_UTF8, masked(0x81, b"hi\xe4\xbd")),
    truncated_utf8_in_the_last_fragment(
        "RFC 6455 8.1",
        NOT_UTF8,
        [masked(0x01, b"hi\xe4"), masked(0x80, b"\xbd")].concat()
    ),
    utf8_not_continued_by_the_next_fragment(
        "RFC 6455 8.1",
        NOT_UTF8,
        [masked(0x01, b"hi\xe4"), masked(0x80, b"hi")].concat()
    ),
    fragment_with_invalid_utf8("RFC 6455 8.1", NOT_UTF8, masked(0x01, b"\xf8hi")),
    // Oversized messages.
    oversized_message(
        "RFC 6455 10.4",
        TOO_BIG,
        binary(&[0; MAX_MESSAGE_BYTES + 1])
    ),
    oversized_message_header_only(
        "RFC 6455 10.4",
        TOO_BIG,
        header(0x81, MAX_MESSAGE_BYTES as u64 + 1)
    ),
    message_length_of_63_bits("RFC 6455 10.4", TOO_BIG, header(0x82, u64::MAX >> 1)),
    fragments_above_the_limit_in_sum(
        "RFC 6455 10.4",
        TOO_BIG,
        [
            masked(0x02, &[0; MAX_MESSAGE_BYTES / 2]),
            masked(0x00, &[0; MAX_MESSAGE_BYTES / 2]),
            masked(0x80, &[0])
        ]
        .concat()
    ),
    fragment_lengths_that_overflow(
        "RFC 6455 10.4",
        TOO_BIG,
        [masked(0x02, b"h"), header(0x80, u64::MAX >> 1)].concat()
    ),
    // Too many control frames.
    flood_of_pings("RFC 6455 10.4", FLOOD, ping(b"").repeat(3000)),
    flood_of_pongs("RFC 6455 10.4", FLOOD, pong(b"").repeat(3000)),
    pings_between_fragments(
        "RFC 6455 10.4",
        FLOOD,
        [masked(0x01, b"h"), ping(b"").repeat(3000)].concat()
    ),
);

const fn both(code: u16) -> ExpectedCodes {
    ExpectedCodes {
        before_login: code,
        after_login: code,
    }
}

/// Returns a frame with a length field of 16 bits, for any payload. Its mask is zero.
fn in_16_bits(first: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).expect("the length fits");
    [&[first, 0xFE], &length.to_be_bytes()[..], &[0; 4], payload].concat()
}

/// Returns a frame with a length field of 64 bits, for any payload. Its mask is zero.
fn in_64_bits(first: u8, payload: &[u8]) -> Vec<u8> {
    let length = payload.len() as u64;
    [&[first, 0xFF], &length.to_be_bytes()[..], &[0; 4], payload].concat()
}
