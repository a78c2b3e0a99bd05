//! The property of tickets: their parser, and their MAC.

use std::{
    sync::{Arc, LazyLock},
    time::{Duration, SystemTime},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use proto::{
    credentials::{Accounts, TicketError, TicketIssuer, TicketPolicy, TicketSecrets},
    message::Credentials,
    password::HashMemory,
    ticket::Ticket,
    username::UserName,
};

/// The number of bytes before the user name, and of those after it.
const HEAD_BYTES: usize = 30;
const MAC_BYTES: usize = 32;

static ACCOUNTS: LazyLock<Accounts> = LazyLock::new(|| {
    Accounts::from_toml("[[user]]\nname = \"jane\"\npassword = \"x\"\n")
        .expect("the accounts are valid")
});

static ISSUER: LazyLock<TicketIssuer> = LazyLock::new(|| {
    let secrets = Arc::new(TicketSecrets::of_process([7; 32]));
    TicketIssuer::new(secrets, "ws-server", TicketPolicy::DEFAULT)
});

/// The only ticket that was issued.
static GENUINE: LazyLock<String> = LazyLock::new(|| {
    let jane = Credentials::parse("jane:x").expect("the credentials are valid");
    let identity = ACCOUNTS.verify(&jane, now(), &mut HashMemory::default());
    let identity = identity.expect("the password is right");
    let issued = ISSUER.issue(&identity, None, now());
    let text = issued.expect("the login is new").ticket.text();
    text.expose().to_owned()
});

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_hours(24 * 20_600 + 12)
}

/// Checks the parser against a model, with the bytes as a text and as the fields of a ticket. Only the
/// ticket that was issued logs in.
///
/// # Panics
///
/// If the property does not hold.
pub fn check(data: &[u8]) {
    if let Ok(text) = str::from_utf8(data) {
        check_text(text);
    }
    check_text(&format!("wst1.{}", URL_SAFE_NO_PAD.encode(data)));
}

fn check_text(text: &str) {
    let ticket = match (Ticket::parse(text), named(text)) {
        (Err(_), None) => return,
        (Ok(ticket), Some(name)) => {
            assert_eq!(ticket.user().as_str(), name);
            ticket
        }
        (parsed, named) => panic!("{text:?}: {parsed:?}, and the name is {named:?}"),
    };
    // A ticket has one text.
    assert_eq!(ticket.text().expose(), text);
    match ISSUER.verify(&ticket, &ACCOUNTS, now()) {
        Ok(verified) => {
            assert_eq!(text, *GENUINE);
            assert_eq!(verified.identity.user().as_str(), "jane");
        }
        Err(error) => {
            assert_ne!(text, *GENUINE);
            assert_eq!(error, TicketError::Forged);
        }
    }
}

/// Returns the user name in the text of a well-formed ticket.
fn named(text: &str) -> Option<String> {
    let encoded = text.strip_prefix("wst1.")?;
    let bytes = URL_SAFE_NO_PAD.decode(encoded).ok()?;
    let name = bytes.get(HEAD_BYTES..bytes.len().checked_sub(MAC_BYTES)?)?;
    let name = String::from_utf8(name.to_vec()).ok()?;
    let parsed = UserName::parse(&name).ok()?;
    (parsed.as_str() == name).then_some(name)
}

/// Returns the issued ticket, its fields, and malformed ones.
pub fn seeds() -> Vec<(String, Vec<u8>)> {
    let genuine = GENUINE.clone();
    let fields = genuine.strip_prefix("wst1.").expect("a ticket has it");
    let fields = URL_SAFE_NO_PAD
        .decode(fields)
        .expect("a ticket is base64url");
    let mut seeds = vec![
        ("text".to_owned(), genuine.clone().into_bytes()),
        ("padded".to_owned(), format!("{genuine}=").into_bytes()),
        ("prefix".to_owned(), b"wst1.".to_vec()),
    ];
    for name in ["jane", "", "a:b", " a", "a\n", "e\u{301}", "\u{e9}"] {
        let bytes = [&fields[..HEAD_BYTES], name.as_bytes(), &[0; MAC_BYTES]].concat();
        seeds.push((format!("name {}", name.escape_unicode()), bytes));
    }
    seeds.push(("fields".to_owned(), fields));
    seeds
}
