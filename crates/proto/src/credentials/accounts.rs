//! Who may log in: the accounts of a server, from its credentials file.

use std::{
    collections::{BTreeSet, HashMap},
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
    message::{Credentials, CredentialsError, MAX_CREDENTIALS_BYTES},
    password::{HashCost, HashMemory, Password, PasswordHash},
    secret::Secret,
    username::UserName,
};

/// How many different costs the hashes of one file may have: each login pays for all of them.
const MAX_COSTS: usize = 4;

/// Every account that may log in.
#[derive(Debug)]
pub struct Accounts {
    by_name: HashMap<UserName, Account>,
    /// Each cost that some hash of the file has.
    costs: BTreeSet<HashCost>,
    /// Compared with where there is no plain password, so that all answers take the same time.
    nobody: Secret,
}

/// One entry of the file.
#[derive(Debug)]
struct Account {
    credential: Arc<Credential>,
    expires: Option<SystemTime>,
}

/// What a login was proved by.
#[derive(Debug)]
struct Credential {
    user: UserName,
    password: Password,
}

/// An identity that was proved, and by what: only [`Accounts::verify`] makes one. Whether it still
/// holds after the accounts have changed, [`Accounts::check`] knows.
#[derive(Debug, Clone)]
pub struct Identity(Arc<Credential>);

impl Identity {
    /// The user's name.
    pub fn user(&self) -> &UserName {
        &self.0.user
    }
}

/// Why a name and a password prove nothing. It is for those who keep the server: whoever tried is not
/// told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum VerifyError {
    /// There is no such user.
    UnknownUser,
    /// There is, and this is not the password.
    WrongPassword,
    /// It is the password, and the account was limited in time, and the time is over.
    Expired,
}

/// Why an identity that was proved holds no longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Revoked {
    /// There is no such user any more.
    Removed,
    /// The user has another password, or another hash of the same one.
    Changed,
    /// The account was limited in time, and the time is over.
    Expired,
}

/// A credentials file as it is written.
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
    /// Reads a credentials file: one `[[user]]` with `name`, `password_hash` or `password`, and
    /// possibly `expires` for each account.
    ///
    /// # Errors
    ///
    /// A file without users, a name that is not a [`UserName`], a name given twice, none or two of
    /// the password keys, a password that is empty or too long to be sent, a hash that is not a
    /// [`PasswordHash`], hashes of more than four costs, an `expires` that is no moment.
    pub fn from_toml(source: &str) -> Result<Self, TomlError> {
        let file: CredentialsFile = from_toml(source)?;
        if file.user.is_empty() {
            return Err(TomlError::whole(
                "there is no user: write [[user]] with a name and a password_hash for each account",
            ));
        }
        let mut accounts = Self {
            by_name: HashMap::with_capacity(file.user.len()),
            costs: BTreeSet::new(),
            nobody: Secret::new("nobody has this one"),
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
            let problem = "this name was given before; each user has one entry";
            return Err(TomlError::at_byte(source, name_at, problem));
        }
        let password = match (entry.password_hash, entry.password) {
            (Some(hash), None) => Password::Hash(self.hash(source, &hash)?),
            (None, Some(password)) => plain(source, &user, password)?,
            (Some(_), Some(password)) => {
                let problem = "this user has a password_hash, too; write one of them";
                return Err(TomlError::at_byte(source, password.span().start, problem));
            }
            (None, None) => {
                let problem = "this user has no password; write a password_hash, which \
                               `ws-server hash-password` prints";
                return Err(TomlError::at_byte(source, name_at, problem));
            }
        };
        let expires = match entry.expires {
            Some(expires) => Some(moment(expires.get_ref()).ok_or_else(|| {
                let problem = "write a moment with its time zone, and without quotes, such as \
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
                "there are more than {MAX_COSTS} different costs in this file, and each login pays \
                 for all of them; hash some passwords again"
            );
            return Err(TomlError::at_byte(source, at, problem));
        }
        Ok(hash)
    }

    /// Checks a name and a password, and whether the account still stands at this time.
    ///
    /// Every call takes the same time, whoever it is about: it does the work of one hash for each
    /// cost that there is in the file, in the memory that is given. Without a hash in the file it takes
    /// no time to speak of; see [`Accounts::costs`].
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
            Some(Password::Hash(_)) | None => &self.nobody,
        };
        let is_plain = matches!(password, Some(Password::Plain(_)));
        let mut matches = plain.matches(&credentials.password) & is_plain;
        for cost in &self.costs {
            match password {
                Some(Password::Hash(hash)) if hash.cost() == *cost => {
                    matches = hash.matches(&credentials.password, memory);
                }
                Some(Password::Hash(_) | Password::Plain(_)) | None => {
                    cost.spend(&credentials.password, memory);
                }
            }
        }
        match account {
            None => Err(VerifyError::UnknownUser),
            Some(_) if !matches => Err(VerifyError::WrongPassword),
            Some(account) if !account.stands(now) => Err(VerifyError::Expired),
            Some(account) => Ok(Identity(Arc::clone(&account.credential))),
        }
    }

    /// Whether an identity that was proved, by these accounts or by others before them, holds.
    pub fn check(&self, identity: &Identity, now: SystemTime) -> Result<(), Revoked> {
        match self.by_name.get(identity.user()) {
            None => Err(Revoked::Removed),
            Some(account) if !account.credential.password.is_same(&identity.0.password) => {
                Err(Revoked::Changed)
            }
            Some(account) if !account.stands(now) => Err(Revoked::Expired),
            Some(_) => Ok(()),
        }
    }

    /// Whether others are the same: the same users, with the same passwords, for as long.
    pub fn are_same(&self, others: &Self) -> bool {
        self.by_name.len() == others.by_name.len()
            && self.by_name.iter().all(|(name, account)| {
                others.by_name.get(name).is_some_and(|other| {
                    account.expires == other.expires
                        && (account.credential.password).is_same(&other.credential.password)
                })
            })
    }

    /// What each verification costs: one hash of each of these. There is none in a file of plain
    /// passwords.
    pub fn costs(&self) -> impl ExactSizeIterator<Item = HashCost> {
        self.costs.iter().copied()
    }

    /// The first moment after `now` at which an account expires.
    pub fn next_expiry(&self, now: SystemTime) -> Option<SystemTime> {
        let expiries = self.by_name.values().filter_map(|account| account.expires);
        expiries.filter(|expiry| *expiry > now).min()
    }

    /// Whether there is a user of this name.
    pub fn has(&self, user: &UserName) -> bool {
        self.by_name.contains_key(user)
    }

    /// The names of all users, in no order.
    pub fn users(&self) -> impl ExactSizeIterator<Item = &UserName> {
        self.by_name.keys()
    }

    /// Whether this very name and password stand in the file, in plain. It costs no hash.
    pub fn has_plain(&self, credentials: &Credentials) -> bool {
        let account = self.by_name.get(&credentials.name);
        account.is_some_and(|account| match &account.credential.password {
            Password::Plain(password) => password.matches(&credentials.password),
            Password::Hash(_) => false,
        })
    }

    /// How many users have a plain password.
    pub fn plain_passwords(&self) -> usize {
        let passwords = self.by_name.values().map(|it| &it.credential.password);
        passwords
            .filter(|password| matches!(password, Password::Plain(_)))
            .count()
    }
}

impl Account {
    fn stands(&self, now: SystemTime) -> bool {
        self.expires.is_none_or(|expires| now < expires)
    }
}

fn plain(source: &str, user: &UserName, password: Spanned<Secret>) -> Result<Password, TomlError> {
    let at = password.span().start;
    let password = password.into_inner();
    let problem = if password.is_empty() {
        "a password is never empty".to_owned()
    } else if user.as_str().len() + 1 + password.expose().len() > MAX_CREDENTIALS_BYTES {
        CredentialsError::TooLong.to_string()
    } else {
        return Ok(Password::Plain(password));
    };
    Err(TomlError::at_byte(source, at, problem))
}

/// The moment that a date with a time and an offset names.
fn moment(value: &Value) -> Option<SystemTime> {
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
