//! The wire form of a ticket: a text by which a user logs in again without a password.
//!
//! A ticket is `wst1.` and base64url, without padding, of these fields in network byte order: the day
//! of the key (2 bytes), the times of issue, of the login and of expiry (4 bytes each, in seconds
//! since 1970), a fingerprint of the credential (16), the user name, and a MAC over all of them (32).
//! [`TicketIssuer`](crate::credentials::TicketIssuer) computes and verifies the MAC.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use crate::{secret::Secret, username::UserName};

/// The begin of each ticket. The digit is the version of the form.
pub const TICKET_PREFIX: &str = "wst1.";

/// The length of the fingerprint of a credential, in bytes.
pub(crate) const FINGERPRINT_BYTES: usize = 16;

/// The length of the MAC, in bytes.
pub(crate) const MAC_BYTES: usize = 32;

/// The number of seconds of the day of a key.
pub(crate) const DAY_SECONDS: u32 = 24 * 60 * 60;

/// A well-formed ticket, whose MAC is not verified. Its `Debug` shows nothing of it.
pub struct Ticket {
    /// Boxed, so that an attempt by password does not have this size.
    claims: Box<TicketClaims>,
    mac: [u8; MAC_BYTES],
}

/// The claims of a ticket, which its MAC covers. All times are in seconds since 1970.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct TicketClaims {
    /// The day since 1970 whose key the MAC is computed with.
    pub(crate) key_day: u16,
    /// The time of issue.
    pub(crate) issued: u32,
    /// The time of the login by password. A renewal keeps it.
    pub(crate) logged_in: u32,
    /// The time at which the ticket expires.
    pub(crate) expires: u32,
    /// The fingerprint of the credential at the time of issue.
    pub(crate) fingerprint: [u8; FINGERPRINT_BYTES],
    /// The user.
    pub(crate) user: UserName,
}

impl TicketClaims {
    /// Returns the bytes that the MAC covers.
    pub(crate) fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(512));
        bytes.extend(self.key_day.to_be_bytes());
        for time in [self.issued, self.logged_in, self.expires] {
            bytes.extend(time.to_be_bytes());
        }
        bytes.extend(self.fingerprint);
        bytes.extend(self.user.as_str().bytes());
        bytes
    }
}

impl Ticket {
    /// Combines claims with their MAC.
    pub(crate) fn new(claims: TicketClaims, mac: [u8; MAC_BYTES]) -> Self {
        Self {
            claims: Box::new(claims),
            mac,
        }
    }

    /// Parses a ticket. Each ticket has exactly one text.
    ///
    /// # Errors
    ///
    /// Another version, invalid base64url, too few bytes, or no valid user name in NFC.
    pub fn parse(text: &str) -> Result<Self, TicketFormError> {
        Self::read(text).ok_or(TicketFormError)
    }

    fn read(text: &str) -> Option<Self> {
        let encoded = text.strip_prefix(TICKET_PREFIX)?;
        let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(encoded).ok()?);
        let (key_day, rest) = bytes.split_first_chunk()?;
        let (issued, rest) = rest.split_first_chunk()?;
        let (logged_in, rest) = rest.split_first_chunk()?;
        let (expires, rest) = rest.split_first_chunk()?;
        let (fingerprint, rest) = rest.split_first_chunk()?;
        let (name, mac) = rest.split_last_chunk()?;
        let name = std::str::from_utf8(name).ok()?;
        let user = UserName::parse(name).ok()?;
        let claims = TicketClaims {
            key_day: u16::from_be_bytes(*key_day),
            issued: u32::from_be_bytes(*issued),
            logged_in: u32::from_be_bytes(*logged_in),
            expires: u32::from_be_bytes(*expires),
            fingerprint: *fingerprint,
            user,
        };
        (claims.user.as_str() == name).then(|| Self::new(claims, *mac))
    }

    /// Returns the text of the ticket.
    pub fn text(&self) -> Secret {
        let mut bytes = self.claims.to_bytes();
        bytes.extend(self.mac);
        let encoded = Zeroizing::new(URL_SAFE_NO_PAD.encode(&*bytes));
        Secret::new(format!("{TICKET_PREFIX}{}", *encoded))
    }

    /// Returns the user that the ticket names. Without a verified MAC, anybody may have written it.
    pub fn user(&self) -> &UserName {
        &self.claims.user
    }

    pub(crate) fn claims(&self) -> &TicketClaims {
        &self.claims
    }

    pub(crate) fn mac(&self) -> &[u8; MAC_BYTES] {
        &self.mac
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ticket(***)")
    }
}

/// A text that is not a ticket. The error does not tell where, and quotes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the text is not a ticket, which begins with {TICKET_PREFIX}")]
pub struct TicketFormError;

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    use proptest::prelude::*;

    use super::{TICKET_PREFIX, Ticket, TicketClaims, TicketFormError};
    use crate::username::UserName;

    fn ticket(name: &str) -> Ticket {
        let claims = TicketClaims {
            key_day: 0x0102,
            issued: 0x0304_0506,
            logged_in: 0x0708_090a,
            expires: 0x0b0c_0d0e,
            fingerprint: [0xf0; 16],
            user: UserName::parse(name).unwrap(),
        };
        Ticket::new(claims, [0xff; 32])
    }

    #[test]
    fn text_has_the_documented_fields() {
        let text = ticket("jane").text();
        let encoded = text.expose().strip_prefix("wst1.").unwrap();
        let bytes = URL_SAFE_NO_PAD.decode(encoded).unwrap();
        let mut expected: Vec<u8> = (1..=14).collect();
        expected.extend([0xf0; 16]);
        expected.extend(b"jane");
        expected.extend([0xff; 32]);
        assert_eq!(bytes, expected);
    }

    #[test]
    fn ticket_of_longest_name_fits_credentials_line() {
        let text = ticket(&"\u{1F600}".repeat(UserName::MAX_CHARS)).text();
        // The greatest length of a credentials line is 1024.
        assert_eq!(text.expose().len(), 5 + (30 + 256 + 32) * 4 / 3);
        assert!(Ticket::parse(text.expose()).is_ok());
    }

    #[test]
    fn debug_shows_no_ticket() {
        assert_eq!(format!("{:?}", ticket("jane")), "Ticket(***)");
    }

    #[test]
    fn malformed_ticket_refused() {
        let valid = ticket("jane").text();
        let valid = valid.expose();
        let with_name = |name: &[u8]| {
            let bytes = [&[0; 30][..], name, &[0; 32]].concat();
            format!("{TICKET_PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))
        };
        assert!(Ticket::parse(&with_name(b"jane")).is_ok());
        for text in [
            "",
            "wst1.",
            "wst1",
            "wst1.A",
            &valid.replacen("wst1", "wst2", 1),
            &valid.replacen("wst1", "WST1", 1),
            &format!(" {valid}"),
            &format!("{valid} "),
            &format!("{valid}="),
            &format!("{valid}\n"),
            &valid.replacen('_', "/", 1),
            // Without a name, and too short.
            &with_name(b""),
            &with_name(b"a:b"),
            &with_name(b"a\n"),
            &with_name(b"\xff"),
            &with_name(" a".as_bytes()),
            // Not in NFC: the same name would have two tickets.
            &with_name("e\u{301}".as_bytes()),
            &with_name("a".repeat(65).as_bytes()),
        ] {
            assert_eq!(Ticket::parse(text).unwrap_err(), TicketFormError, "{text}");
        }
    }

    proptest! {
        #[test]
        fn parsed_ticket_has_the_same_text(bytes in prop::collection::vec(any::<u8>(), 0..120)) {
            let text = format!("{TICKET_PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes));
            if let Ok(ticket) = Ticket::parse(&text) {
                let again = ticket.text();
                prop_assert_eq!(again.expose(), text);
            }
        }

        #[test]
        fn arbitrary_text_never_panics(text in "(wst1\\.)?\\PC{0,100}") {
            if let Ok(ticket) = Ticket::parse(&text) {
                let again = ticket.text();
                prop_assert_eq!(again.expose(), text);
            }
        }
    }
}
