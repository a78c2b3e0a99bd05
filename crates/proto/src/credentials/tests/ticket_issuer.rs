//! Tickets: issue, verification, and each way in which one ends.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use proptest::prelude::*;

use crate::{
    credentials::{
        Accounts, Identity, IssuedTicket, Revoked, TicketError, TicketIssuer, TicketPolicy,
        TicketSecrets,
    },
    message::Credentials,
    password::HashMemory,
    ticket::{TICKET_PREFIX, Ticket},
};

const JANE: &str = "[[user]]\nname = \"jane\"\npassword = \"x\"\n";
const JOE: &str = "[[user]]\nname = \"joe\"\npassword = \"x\"\n";
const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// Noon of a day of 2026.
fn noon() -> SystemTime {
    SystemTime::UNIX_EPOCH + 20_600 * DAY + 12 * HOUR
}

fn accounts(source: &str) -> Accounts {
    Accounts::from_toml(source).unwrap()
}

fn secrets(bytes: &[u8]) -> Arc<TicketSecrets> {
    let line = |byte: &u8| format!("{byte:02x}").repeat(32);
    let lines: Vec<_> = bytes.iter().map(line).collect();
    Arc::new(TicketSecrets::parse(&lines.join("\n")).unwrap())
}

fn issuer_of(bytes: &[u8]) -> TicketIssuer {
    TicketIssuer::new(secrets(bytes), "ws-server", TicketPolicy::DEFAULT)
}

fn issuer() -> TicketIssuer {
    issuer_of(&[1])
}

/// Returns the identity of a login by password.
fn identity(accounts: &Accounts, line: &str) -> Identity {
    let credentials = Credentials::parse(line).unwrap();
    let verified = accounts.verify(&credentials, noon(), &mut HashMemory::default());
    verified.unwrap()
}

/// Returns a ticket of `jane`, who logged in at noon.
fn ticket(issuer: &TicketIssuer) -> IssuedTicket {
    let jane = identity(&accounts(JANE), "jane:x");
    issuer.issue(&jane, None, noon()).unwrap()
}

/// Returns the user of a ticket, or the reason why it is rejected.
fn verify_with(
    issuer: &TicketIssuer,
    ticket: &Ticket,
    source: &str,
    now: SystemTime,
) -> Result<String, TicketError> {
    let verified = issuer.verify(ticket, &accounts(source), now)?;
    assert!(verified.identity.is_by_ticket());
    Ok(verified.identity.user().to_string())
}

fn verify_at(ticket: &Ticket, now: SystemTime) -> Result<String, TicketError> {
    verify_with(&issuer(), ticket, JANE, now)
}

#[test]
fn ticket_logs_in_until_it_expires() {
    let IssuedTicket {
        ticket,
        issued,
        expires,
    } = ticket(&issuer());
    assert_eq!((issued, expires), (noon(), noon() + HOUR));
    let second = Duration::from_secs(1);
    for (now, verified) in [
        (noon(), Ok("jane".to_owned())),
        (expires - second, Ok("jane".to_owned())),
        (expires, Err(TicketError::Expired)),
        (expires + 10 * DAY, Err(TicketError::Expired)),
        // The clock was set back, or is that of another server.
        (noon() - 2 * MINUTE, Ok("jane".to_owned())),
        (noon() - 2 * MINUTE - second, Err(TicketError::NotYetValid)),
        (noon() - 10 * DAY, Err(TicketError::NotYetValid)),
        (
            SystemTime::UNIX_EPOCH - second,
            Err(TicketError::NotYetValid),
        ),
    ] {
        assert_eq!(verify_at(&ticket, now), verified, "{now:?}");
    }
}

#[test]
fn text_of_ticket_is_verified_after_parsing() {
    let text = ticket(&issuer()).ticket.text();
    let ticket = Ticket::parse(text.expose()).unwrap();
    assert_eq!(verify_at(&ticket, noon()).as_deref(), Ok("jane"));
}

#[test]
fn changed_or_removed_account_ends_ticket() {
    let ticket = ticket(&issuer()).ticket;
    let hashed = "[[user]]\nname = \"jane\"\npassword_hash = \"$argon2id$v=19$m=8,t=1,p=1$\
                  MDEyMzQ1Njc4OWFiY2RlZg$xaW9jW1nqBjBzztRIhRyK5oGq6/azN5UkLyxA9sPeBo\"\n";
    let expired = [JANE, "expires = 2026-01-01T00:00:00Z\n"].concat();
    for (source, verified) in [
        ([JOE, JANE].concat(), Ok("jane".to_owned())),
        (
            [JANE, "expires = 2030-01-01T00:00:00Z\n"].concat(),
            Ok("jane".to_owned()),
        ),
        (JOE.to_owned(), Err(TicketError::Account(Revoked::Removed))),
        (
            JANE.replace("\"x\"", "\"y\""),
            Err(TicketError::Account(Revoked::Changed)),
        ),
        (
            hashed.to_owned(),
            Err(TicketError::Account(Revoked::Changed)),
        ),
        (expired, Err(TicketError::Account(Revoked::Expired))),
    ] {
        assert_eq!(
            verify_with(&issuer(), &ticket, &source, noon()),
            verified,
            "{source}"
        );
    }
}

#[test]
fn secret_is_replaced_in_two_steps() {
    let (old, new) = (issuer_of(&[1]), issuer_of(&[2]));
    let (before, after) = (ticket(&old).ticket, ticket(&new).ticket);
    let is_accepted = |bytes: &[u8], ticket| {
        let verified = verify_with(&issuer_of(bytes), ticket, JANE, noon());
        assert!(matches!(verified, Ok(_) | Err(TicketError::Forged)));
        verified.is_ok()
    };
    for (bytes, accepts_before, accepts_after) in [
        (&[1][..], true, false),
        (&[1, 2], true, true),
        (&[2, 1], true, true),
        (&[2], false, true),
        (&[3], false, false),
    ] {
        assert_eq!(is_accepted(bytes, &before), accepts_before, "{bytes:?}");
        assert_eq!(is_accepted(bytes, &after), accepts_after, "{bytes:?}");
    }
    // New tickets are those of the first line.
    let both = ticket(&issuer_of(&[2, 1])).ticket;
    assert!(is_accepted(&[2], &both) && !is_accepted(&[1], &both));
}

#[test]
fn ticket_of_another_server_is_refused() {
    let policy = TicketPolicy::DEFAULT;
    let ticket = ticket(&issuer()).ticket;
    for name in ["", "ws-serve", "ws-server2", "WS-SERVER"] {
        let other = TicketIssuer::new(secrets(&[1]), name, policy);
        let verified = verify_with(&other, &ticket, JANE, noon());
        assert_eq!(verified, Err(TicketError::Forged), "{name}");
    }
}

#[test]
fn renewal_ends_at_greatest_age() {
    let (issuer, accounts) = (issuer(), accounts(JANE));
    let mut latest = ticket(&issuer);
    let mut renewals = 0;
    // The clock of each renewal: shortly before the ticket expires.
    let last = loop {
        let now = latest.expires - MINUTE;
        let verified = issuer.verify(&latest.ticket, &accounts, now).unwrap();
        assert_eq!(verified.issued, latest.issued);
        let renewed = issuer.issue(&verified.identity, None, now).unwrap();
        renewals += 1;
        if renewed.expires == latest.expires {
            break renewed;
        }
        assert!(renewals < 20 && renewed.expires > latest.expires);
        latest = renewed;
    };
    assert_eq!(last.expires, noon() + 12 * HOUR);
    assert_eq!(renewals, 13);
    assert_eq!(
        verify_at(&last.ticket, last.expires),
        Err(TicketError::Expired)
    );
    let end = noon() + 12 * HOUR;
    let verified = issuer
        .verify(&last.ticket, &accounts, end - MINUTE)
        .unwrap();
    assert!(issuer.issue(&verified.identity, None, end).is_none());
    // Another login by password begins a new age.
    let jane = identity(&accounts, "jane:x");
    assert_eq!(issuer.issue(&jane, None, end).unwrap().expires, end + HOUR);
}

#[test]
fn shorter_greatest_age_ends_earlier_tickets() {
    let ticket = ticket(&issuer()).ticket;
    let policy = TicketPolicy {
        max_age: 10 * MINUTE,
        ..TicketPolicy::DEFAULT
    };
    let shorter = TicketIssuer::new(secrets(&[1]), "ws-server", policy);
    let verify = |now| verify_with(&shorter, &ticket, JANE, now);
    assert_eq!(verify(noon() + 9 * MINUTE).as_deref(), Ok("jane"));
    assert_eq!(verify(noon() + 10 * MINUTE), Err(TicketError::Expired));
}

#[test]
fn key_of_yesterday_is_accepted_until_midnight() {
    let policy = TicketPolicy {
        ttl: TicketPolicy::MAX_TTL,
        max_age: 10 * DAY,
    };
    let issuer = TicketIssuer::new(secrets(&[1]), "ws-server", policy);
    let jane = identity(&accounts(JANE), "jane:x");
    let midnight = noon() + 12 * HOUR;
    let second = Duration::from_secs(1);
    for issued in [noon(), midnight - second, midnight] {
        let ticket = issuer.issue(&jane, None, issued).unwrap();
        assert_eq!(ticket.expires, issued + DAY);
        let last = ticket.expires - second;
        let verified = verify_with(&issuer, &ticket.ticket, JANE, last);
        assert_eq!(verified.as_deref(), Ok("jane"), "{issued:?}");
    }
    // With a longer lifetime, the key would end first.
    let policy = TicketPolicy {
        ttl: 3 * DAY,
        ..policy
    };
    let longer = TicketIssuer::new(secrets(&[1]), "ws-server", policy);
    let ticket = longer.issue(&jane, None, noon()).unwrap().ticket;
    let verify = |now| verify_with(&longer, &ticket, JANE, now);
    assert_eq!(verify(midnight + DAY - second).as_deref(), Ok("jane"));
    assert_eq!(verify(midnight + DAY), Err(TicketError::Expired));
}

#[test]
fn ticket_after_revocation_is_younger_than_it() {
    let (issuer, jane) = (issuer(), identity(&accounts(JANE), "jane:x"));
    let second = Duration::from_secs(1);
    let half = Duration::from_millis(500);
    for (after, issued) in [
        (noon() - HOUR, noon()),
        (noon(), noon() + second),
        // In the same second.
        (noon() + half, noon() + second),
        (noon() + 5 * MINUTE, noon() + 5 * MINUTE + second),
    ] {
        let ticket = issuer.issue(&jane, Some(after), noon() + half).unwrap();
        assert_eq!(ticket.issued, issued, "{after:?}");
        assert_eq!(ticket.expires, issued + HOUR, "{after:?}");
    }
}

#[test]
fn no_ticket_outside_of_1970_to_2106() {
    let (issuer, jane) = (issuer(), identity(&accounts(JANE), "jane:x"));
    let second = Duration::from_secs(1);
    let epoch = SystemTime::UNIX_EPOCH;
    for now in [epoch - second, epoch + Duration::from_secs(1 << 32)] {
        assert!(issuer.issue(&jane, None, now).is_none(), "{now:?}");
    }
    let last = epoch + Duration::from_secs(u32::MAX.into());
    assert!(issuer.issue(&jane, None, last - HOUR).is_some());
    assert!(issuer.issue(&jane, None, last).is_none());
}

proptest! {
    /// Each byte of a ticket is covered by the MAC, or is the MAC.
    #[test]
    fn changed_ticket_is_forged(index in 5_usize..100, letter in "[A-Za-z0-9_-]") {
        let text = ticket(&issuer()).ticket.text();
        let mut changed = text.expose().to_owned();
        let index = index.min(changed.len() - 1);
        changed.replace_range(index..=index, &letter);
        prop_assume!(changed != text.expose());
        if let Ok(ticket) = Ticket::parse(&changed) {
            prop_assert_eq!(verify_at(&ticket, noon()), Err(TicketError::Forged));
        }
    }

    #[test]
    fn random_ticket_is_forged(bytes in prop::collection::vec(any::<u8>(), 63..120)) {
        use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
        let text = format!("{TICKET_PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes));
        if let Ok(ticket) = Ticket::parse(&text) {
            prop_assert_eq!(verify_at(&ticket, noon()), Err(TicketError::Forged));
        }
    }

    #[test]
    fn issued_ticket_never_outlives_its_bounds(
        ttl in 1_u64..100_000,
        max_age in 1_u64..1_000_000,
        renewed_after in 0_u64..1_000_000,
    ) {
        let policy = TicketPolicy {
            ttl: Duration::from_secs(ttl).min(TicketPolicy::MAX_TTL),
            max_age: Duration::from_secs(max_age),
        };
        let issuer = TicketIssuer::new(secrets(&[1]), "ws-server", policy);
        let accounts = accounts(JANE);
        let first = issuer.issue(&identity(&accounts, "jane:x"), None, noon()).unwrap();
        let now = noon() + Duration::from_secs(renewed_after);
        let verified = issuer.verify(&first.ticket, &accounts, now);
        prop_assert_eq!(verified.is_ok(), now < noon() + policy.ttl.min(policy.max_age));
        if let Ok(verified) = verified {
            let renewed = issuer.issue(&verified.identity, None, now).unwrap();
            prop_assert!(renewed.expires <= now + policy.ttl);
            prop_assert!(renewed.expires <= noon() + policy.max_age);
        }
    }
}
