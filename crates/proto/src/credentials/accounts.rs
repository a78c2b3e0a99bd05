//! The accounts of a server, read from its credentials file.

use std::{
    collections::{BTreeSet, HashMap},
    num::NonZeroU32,
    sync::Arc,
    time::{Duration, SystemTime},
};

use serde::Deserialize;
use toml::{
    Spanned, Value,
    value::{Datetime, Offset},
};

use crate::{
    config::{TomlError, from_toml},
    credentials::{CredentialFingerprint, fingerprint::stored_credential},
    message::{Credentials, CredentialsError, MAX_CREDENTIALS_BYTES},
    password::{HashCost, HashMemory, Password, PasswordHash},
    secret::Secret,
    username::UserName,
};

/// The greatest number of different hash costs in one file. Each login computes one hash of each.
const MAX_COSTS: usize = 4;

/// All accounts of a credentials file.
#[derive(Debug)]
pub struct Accounts {
    by_name: HashMap<UserName, Account>,
    /// The distinct costs of the hashes in the file.
    costs: BTreeSet<HashCost>,
    /// Compared with the guess if the user has no plain password, so that every check takes the same
    /// time.
    dummy_password: Secret,
}

/// An account: a `[[user]]` entry of the file.
#[derive(Debug)]
struct Account {
    credential: Arc<Credential>,
    expires: Option<SystemTime>,
}

/// The user name and password that a login is verified against.
#[derive(Debug)]
struct Credential {
    user: UserName,
    password: Password,
}

/// The result of a verified login: the user, and the credential that was verified.
///
/// Only [`Accounts::verify`] and [`TicketIssuer::verify`](crate::credentials::TicketIssuer::verify)
/// create one. [`Accounts::check`] decides if it is still valid after a change of the accounts.
#[derive(Debug, Clone)]
pub struct Identity {
    credential: Arc<Credential>,
    /// The time of the login by password, in seconds since 1970, if this login was by a ticket.
    ticket_login: Option<NonZeroU32>,
}

impl Identity {
    /// Returns the user's name.
    pub fn user(&self) -> &UserName {
        &self.credential.user
    }

    /// Returns true if the login was by a ticket.
    pub fn is_by_ticket(&self) -> bool {
        self.ticket_login.is_some()
    }

    /// Returns the time of the login by password, if this one was by a ticket.
    pub(super) fn ticket_login(&self) -> Option<NonZeroU32> {
        self.ticket_login
    }

    /// Passes on the parts of a text that differs for each two credentials.
    pub(super) fn stored_credential(&self, part: impl FnMut(&[u8])) {
        let Credential { user, password } = &*self.credential;
        stored_credential(user, password, part);
    }
}

/// The reason why credentials were rejected. It is for the operator only: the client does not
/// learn it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum VerifyError {
    /// No account has this user name.
    UnknownUser,
    /// The account exists, and the password differs.
    WrongPassword,
    /// The password is right, and the account has expired.
    Expired,
}

/// The reason why an [`Identity`] is no longer valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Revoked {
    /// The user was removed.
    Removed,
    /// The user's password, or its hash, was changed.
    Changed,
    /// The account has expired.
    Expired,
}

/// The TOML form of a credentials file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CredentialsFile {
    #[serde(default)]
    user: Vec<UserEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UserEntry {
    name: Spanned<String>,
    password_hash: Option<Spanned<Secret>>,
    password: Option<Spanned<Secret>>,
    expires: Option<Spanned<Value>>,
}

impl Accounts {
    /// Reads a credentials file. Each account is a `[[user]]` table with `name`, either
    /// `password_hash` or `password`, and optionally `expires`.
    ///
    /// # Errors
    ///
    /// A file without users; an invalid or duplicate name; none or both of the password keys; a
    /// password that is empty or exceeds [`MAX_CREDENTIALS_BYTES`] with its name; an invalid
    /// [`PasswordHash`]; more than four different hash costs; an `expires` that is not a date-time
    /// with an offset.
    pub fn from_toml(source: &str) -> Result<Self, TomlError> {
        let file: CredentialsFile = from_toml(source)?;
        if file.user.is_empty() {
            return Err(TomlError::whole(
                "there are no users: write [[user]] with a name and a password_hash for each account",
            ));
        }
        let mut accounts = Self {
            by_name: HashMap::with_capacity(file.user.len()),
            costs: BTreeSet::new(),
            dummy_password: Secret::new("dummy password"),
        };
        for entry in file.user {
            accounts.add(source, entry)?;
        }
        Ok(accounts)
    }

    fn add(&mut self, source: &str, entry: UserEntry) -> Result<(), TomlError> {
        let name_at = entry.name.span().start;
        let user = UserName::parse(entry.name.get_ref())
            .map_err(|error| TomlError::at_byte(source, name_at, error.to_string()))?;
        if self.by_name.contains_key(&user) {
            let problem = "duplicate user name; write one entry for each user";
            return Err(TomlError::at_byte(source, name_at, problem));
        }
        let password = match (entry.password_hash, entry.password) {
            (Some(hash), None) => Password::Hash(self.hash(source, &hash)?),
            (None, Some(password)) => plain_password(source, &user, &password)?,
            (Some(_), Some(password)) => {
                let problem = "this user also has a password_hash; write only one of them";
                return Err(TomlError::at_byte(source, password.span().start, problem));
            }
            (None, None) => {
                let problem = "this user has no password; write a password_hash, which \
                               `ws-server hash-password` prints";
                return Err(TomlError::at_byte(source, name_at, problem));
            }
        };
        let expires = match entry.expires {
            Some(expires) => Some(point_in_time(expires.get_ref()).ok_or_else(|| {
                let problem = "write a date and time with an offset, without quotes, such as \
                               2030-12-31T23:59:59Z";
                TomlError::at_byte(source, expires.span().start, problem)
            })?),
            None => None,
        };
        let account = Account {
            credential: Arc::new(Credential {
                user: user.clone(),
                password,
            }),
            expires,
        };
        self.by_name.insert(user, account);
        Ok(())
    }

    fn hash(&mut self, source: &str, text: &Spanned<Secret>) -> Result<PasswordHash, TomlError> {
        let at = text.span().start;
        let hash = PasswordHash::parse(text.get_ref().expose())
            .map_err(|error| TomlError::at_byte(source, at, error.to_string()))?;
        self.costs.insert(hash.cost());
        if self.costs.len() > MAX_COSTS {
            let problem = format!(
                "more than {MAX_COSTS} different hash costs in this file, and each login computes \
                 one hash of each; hash some passwords again"
            );
            return Err(TomlError::at_byte(source, at, problem));
        }
        Ok(hash)
    }

    /// Verifies a user name and a password, and checks that the account has not expired at `now`.
    ///
    /// Every call takes the same time for any user: it computes one hash of each cost in the file, in
    /// `memory`. If the file has no hashes, the time is negligible; see [`Accounts::costs`].
    ///
    /// # Errors
    ///
    /// The reason for the rejection. It must not reach the client.
    pub fn verify(
        &self,
        credentials: &Credentials,
        now: SystemTime,
        memory: &mut HashMemory,
    ) -> Result<Identity, VerifyError> {
        let account = self.by_name.get(&credentials.name);
        let password = account.map(|account| &account.credential.password);
        let plain = match password {
            Some(Password::Plain(password)) => password,
            Some(Password::Hash(_)) | None => &self.dummy_password,
        };
        let is_plain = matches!(password, Some(Password::Plain(_)));
        let mut matches = plain.matches(&credentials.password) & is_plain;
        for cost in &self.costs {
            match password {
                Some(Password::Hash(hash)) if hash.cost() == *cost => {
                    matches = hash.matches(&credentials.password, memory);
                }
                Some(Password::Hash(_) | Password::Plain(_)) | None => {
                    cost.hash_and_discard(&credentials.password, memory);
                }
            }
        }
        match account {
            None => Err(VerifyError::UnknownUser),
            Some(_) if !matches => Err(VerifyError::WrongPassword),
            Some(account) if !account.is_valid_at(now) => Err(VerifyError::Expired),
            Some(account) => Ok(account.identity(None)),
        }
    }

    /// Returns the identity of a user with the present credential, whom a ticket names that comes from
    /// this login. The caller must verify the ticket.
    pub(super) fn identity_by_ticket(
        &self,
        user: &UserName,
        login: NonZeroU32,
    ) -> Option<Identity> {
        let account = self.by_name.get(user)?;
        Some(account.identity(Some(login)))
    }

    /// Checks that an identity is still valid. An earlier version of the accounts may have created it.
    ///
    /// # Errors
    ///
    /// The reason for the revocation.
    pub fn check(&self, identity: &Identity, now: SystemTime) -> Result<(), Revoked> {
        match self.by_name.get(identity.user()) {
            None => Err(Revoked::Removed),
            Some(account)
                if !account
                    .credential
                    .password
                    .is_same(&identity.credential.password) =>
            {
                Err(Revoked::Changed)
            }
            Some(account) if !account.is_valid_at(now) => Err(Revoked::Expired),
            Some(_) => Ok(()),
        }
    }

    /// Returns the fingerprint of a user's credential, if the user exists. The salt must be random.
    pub fn fingerprint(&self, user: &UserName, salt: [u8; 16]) -> Option<CredentialFingerprint> {
        let account = self.by_name.get(user)?;
        let password = &account.credential.password;
        Some(CredentialFingerprint::new(user, password, salt))
    }

    /// Returns true if the user exists with another credential than that of the fingerprint. A user
    /// that does not exist may come back with the same one.
    pub fn has_changed(&self, user: &UserName, fingerprint: &CredentialFingerprint) -> bool {
        let account = self.by_name.get(user);
        account.is_some_and(|account| !fingerprint.is_of(user, &account.credential.password))
    }

    /// Returns the distinct hash costs. Each verification computes one hash of each. There are none
    /// in a file of plain passwords.
    pub fn costs(&self) -> impl ExactSizeIterator<Item = HashCost> {
        self.costs.iter().copied()
    }

    /// Returns the earliest expiry time after `now`.
    pub fn next_expiry(&self, now: SystemTime) -> Option<SystemTime> {
        let expiries = self.by_name.values().filter_map(|account| account.expires);
        expiries.filter(|expiry| *expiry > now).min()
    }

    /// Returns true if a user of this name exists.
    pub fn has(&self, user: &UserName) -> bool {
        self.by_name.contains_key(user)
    }

    /// Returns the names of all users, in no particular order.
    pub fn users(&self) -> impl ExactSizeIterator<Item = &UserName> {
        self.by_name.keys()
    }

    /// Returns true if the file has exactly this name and plain password. It computes no hash.
    pub fn has_plain(&self, credentials: &Credentials) -> bool {
        let account = self.by_name.get(&credentials.name);
        account.is_some_and(|account| match &account.credential.password {
            Password::Plain(password) => password.matches(&credentials.password),
            Password::Hash(_) => false,
        })
    }

    /// Returns the number of users with a plain password.
    pub fn plain_password_count(&self) -> usize {
        let passwords = self.by_name.values().map(|it| &it.credential.password);
        passwords
            .filter(|password| matches!(password, Password::Plain(_)))
            .count()
    }
}

impl Account {
    fn identity(&self, ticket_login: Option<NonZeroU32>) -> Identity {
        Identity {
            credential: Arc::clone(&self.credential),
            ticket_login,
        }
    }

    fn is_valid_at(&self, now: SystemTime) -> bool {
        self.expires.is_none_or(|expires| now < expires)
    }
}

fn plain_password(
    source: &str,
    user: &UserName,
    password: &Spanned<Secret>,
) -> Result<Password, TomlError> {
    let at = password.span().start;
    let password = Secret::password(password.get_ref().expose());
    let problem = if password.is_empty() {
        "a password is never empty".to_owned()
    } else if user.as_str().len() + 1 + password.expose().len() > MAX_CREDENTIALS_BYTES {
        CredentialsError::TooLong.to_string()
    } else {
        return Ok(Password::Plain(password));
    };
    Err(TomlError::at_byte(source, at, problem))
}

/// Converts a TOML date-time to a point in time, if it has a date, a time and an offset.
fn point_in_time(value: &Value) -> Option<SystemTime> {
    let Value::Datetime(Datetime {
        date: Some(date),
        time: Some(time),
        offset: Some(offset),
    }) = *value
    else {
        return None;
    };
    let utc = humantime::parse_rfc3339(&format!("{date}T{time}Z")).ok()?;
    match offset {
        Offset::Z => Some(utc),
        Offset::Custom { minutes } => {
            let offset = Duration::from_secs(60 * u64::from(minutes.unsigned_abs()));
            if minutes < 0 {
                utc.checked_add(offset)
            } else {
                utc.checked_sub(offset)
            }
        }
    }
}
