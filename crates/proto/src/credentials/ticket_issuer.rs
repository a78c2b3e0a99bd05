//! The issuer of tickets: their MAC, their keys, and the conditions under which they log a user in.

use std::{
    num::NonZeroU32,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::{
    credentials::{Accounts, Identity, Revoked, TicketSecrets},
    ticket::{DAY_SECONDS, FINGERPRINT_BYTES, MAC_BYTES, Ticket, TicketClaims},
};

/// The uses of a secret. Each one has a label of its own, so that no value of one use is valid in
/// another.
const KEY_LABEL: &[u8] = b"ws-server ticket 1: key of a day";
const MAC_LABEL: &[u8] = b"ws-server ticket 1: mac";
const FINGERPRINT_LABEL: &[u8] = b"ws-server ticket 1: credential";

/// The greatest time by which a ticket may have been issued in the future, in seconds: the difference
/// of two clocks.
const MAX_AHEAD: u32 = 120;

/// The bounds of the lifetime of tickets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TicketPolicy {
    /// The time from the issue of a ticket to its expiry, at most [`TicketPolicy::MAX_TTL`].
    pub ttl: Duration,
    /// The time from the login by password after which no ticket of it is valid.
    pub max_age: Duration,
}

impl TicketPolicy {
    /// The default lifetime: an hour, and twelve hours with renewals.
    pub const DEFAULT: Self = Self {
        ttl: Duration::from_hours(1),
        max_age: Duration::from_hours(12),
    };

    /// The greatest lifetime: the key of a day is accepted up to the end of the next day.
    pub const MAX_TTL: Duration = Duration::from_hours(24);
}

/// The issuer of tickets. It holds no list of them: a ticket proves itself by its MAC.
#[derive(Debug, Clone)]
pub struct TicketIssuer {
    secrets: Arc<TicketSecrets>,
    /// The name of the servers that accept the tickets. Their MAC covers it.
    server: Box<str>,
    policy: TicketPolicy,
}

/// A new ticket.
#[derive(Debug)]
pub struct IssuedTicket {
    /// The ticket.
    pub ticket: Ticket,
    /// The time of issue.
    pub issued: SystemTime,
    /// The time at which it expires.
    pub expires: SystemTime,
}

/// The result of a verified ticket.
#[derive(Debug, Clone)]
pub struct VerifiedTicket {
    /// The user.
    pub identity: Identity,
    /// The time of issue.
    pub issued: SystemTime,
}

/// The reason why a ticket was rejected. It is for the operator only: the client does not learn it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TicketError {
    /// The MAC is not that of an accepted key.
    Forged,
    /// The ticket was issued in the future.
    NotYetValid,
    /// The ticket has expired, or its login by password is too long ago.
    Expired,
    /// The account is no longer valid, or has another credential.
    Account(Revoked),
}

impl TicketIssuer {
    /// Creates the issuer of a server, or of several servers with the same name and secrets.
    pub fn new(secrets: Arc<TicketSecrets>, server: &str, policy: TicketPolicy) -> Self {
        Self {
            secrets,
            server: server.into(),
            policy,
        }
    }

    /// Returns the secrets that the keys are derived from.
    pub fn secrets(&self) -> &Arc<TicketSecrets> {
        &self.secrets
    }

    /// Issues a ticket for a user who is logged in. The ticket is valid from `now`, or from the second
    /// after `after` if that is later: tickets that were issued up to then are dead.
    ///
    /// Returns `None` if the login by password is too long ago, or if the clock is not between 1970
    /// and 2106.
    pub fn issue(
        &self,
        identity: &Identity,
        after: Option<SystemTime>,
        now: SystemTime,
    ) -> Option<IssuedTicket> {
        let now = seconds(now)?;
        let first = match after {
            Some(after) => seconds(after)?.checked_add(1)?,
            None => 0,
        };
        let issued = now.max(first);
        let logged_in = identity.ticket_login().map_or(now, NonZeroU32::get);
        let expires = after_seconds(issued, self.policy.ttl).min(self.last(logged_in));
        if expires <= issued {
            return None;
        }
        let claims = TicketClaims {
            key_day: key_day(issued),
            issued,
            logged_in,
            expires,
            fingerprint: fingerprint(self.secrets.current(), identity),
            user: identity.user().clone(),
        };
        let mac = self.mac(self.secrets.current(), &claims).finalize();
        Some(IssuedTicket {
            ticket: Ticket::new(claims, mac.into_bytes().into()),
            issued: time(issued),
            expires: time(expires),
        })
    }

    /// Verifies a ticket, and checks that its account is still valid. The MAC is compared in constant
    /// time, before anything that the ticket claims is used.
    ///
    /// # Errors
    ///
    /// The reason for the rejection. It must not reach the client.
    pub fn verify(
        &self,
        ticket: &Ticket,
        accounts: &Accounts,
        now: SystemTime,
    ) -> Result<VerifiedTicket, TicketError> {
        let claims = ticket.claims();
        let mut accepted = self.secrets.accepted();
        let secret = accepted
            .find(|secret| self.is_mac(secret, ticket.mac(), claims))
            .ok_or(TicketError::Forged)?;
        let seconds = seconds(now).ok_or(TicketError::NotYetValid)?;
        if claims.issued > seconds.saturating_add(MAX_AHEAD) {
            return Err(TicketError::NotYetValid);
        }
        let is_accepted_day = key_day(seconds).abs_diff(claims.key_day) <= 1;
        if !is_accepted_day || seconds >= claims.expires || seconds >= self.last(claims.logged_in) {
            return Err(TicketError::Expired);
        }
        // A login by password at second 0 of 1970 has no ticket.
        let logged_in = NonZeroU32::new(claims.logged_in).ok_or(TicketError::Expired)?;
        let identity = accounts.identity_by_ticket(&claims.user, logged_in);
        let identity = identity.ok_or(TicketError::Account(Revoked::Removed))?;
        let current = fingerprint(secret, &identity);
        if !bool::from(current.ct_eq(&claims.fingerprint)) {
            return Err(TicketError::Account(Revoked::Changed));
        }
        accounts
            .check(&identity, now)
            .map_err(TicketError::Account)?;
        Ok(VerifiedTicket {
            identity,
            issued: time(claims.issued),
        })
    }

    /// Returns the time from which no ticket of a login by password is valid, in seconds.
    fn last(&self, logged_in: u32) -> u32 {
        after_seconds(logged_in, self.policy.max_age)
    }

    /// Compares a MAC in constant time.
    fn is_mac(&self, secret: &[u8], mac: &[u8; MAC_BYTES], claims: &TicketClaims) -> bool {
        self.mac(secret, claims).verify_slice(mac).is_ok()
    }

    fn mac(&self, secret: &[u8], claims: &TicketClaims) -> Hmac<Sha256> {
        let mut key = hmac(secret);
        key.update(KEY_LABEL);
        key.update(&claims.key_day.to_be_bytes());
        let key = Zeroizing::new(<[u8; MAC_BYTES]>::from(key.finalize().into_bytes()));
        let mut mac = hmac(&*key);
        mac.update(MAC_LABEL);
        // With its length, so that no two names and claims have the same bytes.
        mac.update(&(self.server.len() as u64).to_be_bytes());
        mac.update(self.server.as_bytes());
        mac.update(&claims.to_bytes());
        mac
    }
}

/// Returns the keyed fingerprint of a user's name and stored credential.
fn fingerprint(secret: &[u8], identity: &Identity) -> [u8; FINGERPRINT_BYTES] {
    let mut mac = hmac(secret);
    mac.update(FINGERPRINT_LABEL);
    identity.stored_credential(|part| mac.update(part));
    let digest = <[u8; MAC_BYTES]>::from(mac.finalize().into_bytes());
    std::array::from_fn(|index| digest[index])
}

fn hmac(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes a key of any length")
}

/// Returns the day since 1970 of a time in seconds.
fn key_day(seconds: u32) -> u16 {
    u16::try_from(seconds / DAY_SECONDS).expect("2106 has a day of less than 16 bits")
}

/// Returns the seconds since 1970, if 32 bits hold them.
fn seconds(time: SystemTime) -> Option<u32> {
    let since = time.duration_since(UNIX_EPOCH).ok()?;
    u32::try_from(since.as_secs()).ok()
}

fn after_seconds(seconds: u32, duration: Duration) -> u32 {
    let duration = u32::try_from(duration.as_secs()).unwrap_or(u32::MAX);
    seconds.saturating_add(duration)
}

fn time(seconds: u32) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds.into())
}
