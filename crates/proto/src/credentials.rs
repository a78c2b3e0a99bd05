//! Who may log in (the server's side), and whom to log in as (the client's side), from TOML.

use std::collections::HashMap;

use serde::Deserialize;
use toml::Spanned;

use crate::{
    config::{TomlError, from_toml},
    message::{Credentials, CredentialsError, MAX_CREDENTIALS_BYTES},
    secret::Secret,
    username::UserName,
};

/// Every account that may log in.
#[derive(Debug)]
pub struct Accounts {
    passwords: HashMap<UserName, Secret>,
    /// Compared with when there is no such user, so that both answers take the same time.
    nobody: Secret,
}

/// An identity that was proved: only [`Accounts::verify`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity(UserName);

impl Identity {
    /// The user's name.
    pub fn user(&self) -> &UserName {
        &self.0
    }
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
    password: Spanned<Secret>,
}

impl Accounts {
    /// Reads a credentials file: one `[[user]]` with `name` and `password` for each account.
    ///
    /// # Errors
    ///
    /// A file without users, a name that is not a [`UserName`], a name given twice, a password that
    /// is empty or too long to be sent.
    pub fn from_toml(source: &str) -> Result<Self, TomlError> {
        let file: CredentialsFile = from_toml(source)?;
        if file.user.is_empty() {
            return Err(TomlError::whole(
                "there is no user: write [[user]] with a name and a password for each account",
            ));
        }
        let mut passwords = HashMap::with_capacity(file.user.len());
        for UserEntry { name, password } in file.user {
            let (name_at, password_at) = (name.span().start, password.span().start);
            let name = UserName::parse(name.get_ref())
                .map_err(|error| TomlError::at_byte(source, name_at, error.to_string()))?;
            let password = password.into_inner();
            if password.is_empty() {
                return Err(TomlError::at_byte(
                    source,
                    password_at,
                    "a password is never empty",
                ));
            }
            if name.as_str().len() + 1 + password.expose().len() > MAX_CREDENTIALS_BYTES {
                return Err(TomlError::at_byte(
                    source,
                    password_at,
                    CredentialsError::TooLong.to_string(),
                ));
            }
            if passwords.contains_key(&name) {
                let problem = "this name was given before; each user has one entry";
                return Err(TomlError::at_byte(source, name_at, problem));
            }
            passwords.insert(name, password);
        }
        Ok(Self {
            passwords,
            nobody: Secret::new("nobody has this one"),
        })
    }

    /// Checks a name and a password. An unknown name costs the same time as a wrong password.
    pub fn verify(&self, credentials: &Credentials) -> Option<Identity> {
        let expected = self.passwords.get(&credentials.name);
        let matches = expected
            .unwrap_or(&self.nobody)
            .matches(&credentials.password);
        (expected.is_some() && matches).then(|| Identity(credentials.name.clone()))
    }

    /// The names of all users, in no order.
    pub fn users(&self) -> impl ExactSizeIterator<Item = &UserName> {
        self.passwords.keys()
    }
}

/// Reads a password file: its first line is the password, and there is nothing else in it.
pub fn password_from_file(text: &str) -> Result<Secret, PasswordFileError> {
    let line = text.strip_suffix('\n').unwrap_or(text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    if line.is_empty() {
        Err(PasswordFileError::Empty)
    } else if line.contains('\n') {
        Err(PasswordFileError::ManyLines)
    } else {
        Ok(Secret::new(line))
    }
}

/// Why a file does not hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordFileError {
    /// There is nothing in it.
    #[error("it is empty; write the password into it, on one line")]
    Empty,
    /// There is more than one line in it.
    #[error("it has more than one line; write only the password into it")]
    ManyLines,
}

#[cfg(test)]
mod tests {
    use super::{Accounts, PasswordFileError, password_from_file};
    use crate::message::Credentials;

    const TWO: &str = "[[user]]\nname = \"admin\"\npassword = \"123456\"\n\n\
                       [[user]]\nname = \"jane\"\npassword = \"with:colon\"\n";

    fn verify(accounts: &Accounts, line: &str) -> Option<String> {
        let identity = accounts.verify(&Credentials::parse(line).unwrap())?;
        Some(identity.user().to_string())
    }

    #[test]
    fn verifies_each_user_by_its_own_password() {
        let accounts = Accounts::from_toml(TWO).unwrap();
        assert_eq!(verify(&accounts, "admin:123456").as_deref(), Some("admin"));
        assert_eq!(
            verify(&accounts, "jane:with:colon").as_deref(),
            Some("jane")
        );
        for line in [
            "admin:with:colon",
            "admin:123456:x",
            "Admin:123456",
            "admin: 123456",
            "nobody:123456",
            "nobody:nobody has this one",
        ] {
            assert_eq!(verify(&accounts, line), None, "{line}");
        }
    }

    #[test]
    fn debug_shows_no_password() {
        let shown = format!("{:?}", Accounts::from_toml(TWO).unwrap());
        assert!(shown.contains("admin"));
        assert!(!shown.contains("123456"), "{shown}");
    }

    #[test]
    fn refuses_a_file_that_cannot_be_meant() {
        let long = format!(
            "[[user]]\nname = \"a\"\npassword = \"{}\"",
            "x".repeat(1023)
        );
        for (source, message) in [
            (
                "",
                "there is no user: write [[user]] with a name and a password for each account",
            ),
            ("[[user]]\nname = \"a\"", "line 1: missing field `password`"),
            (
                "[[user]]\nname = \"a\"\npassword = \"\"",
                "line 3: `user.password`: a password is never empty",
            ),
            (
                "[[user]]\nname = \"a:b\"\npassword = \"x\"",
                "line 2: `user.name`: a name holds no `:`, which separates it from the password",
            ),
            (
                "[[user]]\nname = \"a\"\npassword = \"x\"\n[[user]]\npassword = \"y\"\nname = \"a\"",
                "line 6: `user.name`: this name was given before; each user has one entry",
            ),
            (
                "[[user]]\nname = \"a\"\npasswort = \"98765\"",
                "line 3: `user.passwort`: unknown key `passwort`; did you mean `password`?",
            ),
            (
                "[[user]]\nname = \"a\"\npassword = 98765",
                "line 3: `user.password`: a secret must be a string in quotes",
            ),
            (
                long.as_str(),
                "line 3: `user.password`: credentials have at most 1024 bytes",
            ),
        ] {
            assert_eq!(
                Accounts::from_toml(source).unwrap_err().to_string(),
                message
            );
        }
    }

    #[test]
    fn no_error_repeats_a_password() {
        for source in [
            "[[user]]\nname = \"a\"\npassword = 98765",
            "[[user]]\nname = \"a\"\npassword = 98765x",
            "[[user]]\nname = \"a\"\npassword = \"98765",
            "[[user]]\nname = \"a\"\npassword = '98765\n",
            "[[user]]\nname = \"a\"\npassword = \"98765\" 98765",
            "[[user]]\nname = \"a\"\npassword = \"98765\\q\"",
            "[[user]]\nname = \"a\"\npassword = \"98765\"\npassword = \"98765\"",
            "[[user]]\nname = \"a\"\npassword \"98765\"",
            "user = \"98765\"",
            "[[user]]\nname = \"a\"\npassword = \"\"\"\nc98765=\\q\"\"\"",
            "[[user]]\nname = \"a\"\nc98765pass==",
            "[[user]]\nname = \"a\"\nc98765 = \"x",
        ] {
            let error = Accounts::from_toml(source).unwrap_err();
            assert!(!error.to_string().contains("98765"), "{error}");
            assert!(!format!("{error:?}").contains("98765"), "{error:?}");
        }
    }

    #[test]
    fn a_password_file_is_one_line() {
        for text in ["pass word", "pass word\n", "pass word\r\n"] {
            assert_eq!(password_from_file(text).unwrap().expose(), "pass word");
        }
        assert_eq!(
            password_from_file("\n").unwrap_err(),
            PasswordFileError::Empty
        );
        assert_eq!(
            password_from_file("").unwrap_err(),
            PasswordFileError::Empty
        );
        assert_eq!(
            password_from_file("a\nb\n").unwrap_err(),
            PasswordFileError::ManyLines
        );
    }
}
