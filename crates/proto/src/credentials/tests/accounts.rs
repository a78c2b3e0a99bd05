//! Credentials files: accepted content, verification, expiry and revocation.

use std::time::{Duration, SystemTime};

use crate::{
    credentials::{Accounts, Identity, Revoked, VerifyError},
    message::Credentials,
    password::{HashMemory, costs_of},
};

const NOW: SystemTime = SystemTime::UNIX_EPOCH;

/// Hashes of `open sesame` and `123456`, at two costs for tests only.
const SESAME: &str =
    "$argon2id$v=19$m=8,t=1,p=1$MDEyMzQ1Njc4OWFiY2RlZg$xaW9jW1nqBjBzztRIhRyK5oGq6/azN5UkLyxA9sPeBo";
const DIGITS: &str = "$argon2id$v=19$m=16,t=2,p=1$MDEyMzQ1Njc4OWFiY2RlZg$9AYZPrrEe5pf9K/MKawr04vd4JJNHatj3Dk4Fv9TC7w";

const TWO_USERS: &str = "[[user]]\nname = \"admin\"\npassword = \"123456\"\n\n\
                   [[user]]\nname = \"jane\"\npassword = \"with:colon\"\n";

fn verify_at(
    accounts: &Accounts,
    credentials: &Credentials,
    now: SystemTime,
) -> Result<Identity, VerifyError> {
    accounts.verify(credentials, now, &mut HashMemory::default())
}

fn identity(accounts: &Accounts, line: &str) -> Result<Identity, VerifyError> {
    verify_at(accounts, &Credentials::parse(line).unwrap(), NOW)
}

fn verify(accounts: &Accounts, line: &str) -> Result<String, VerifyError> {
    Ok(identity(accounts, line)?.user().to_string())
}

fn user(name: &str, rest: &str) -> String {
    format!("[[user]]\nname = \"{name}\"\n{rest}\n")
}

#[test]
fn user_verified_by_own_password() {
    let accounts = Accounts::from_toml(TWO_USERS).unwrap();
    for (line, name) in [("admin:123456", "admin"), ("jane:with:colon", "jane")] {
        assert_eq!(verify(&accounts, line).as_deref(), Ok(name));
    }
    for (line, error) in [
        ("admin:with:colon", VerifyError::WrongPassword),
        ("admin:123456:x", VerifyError::WrongPassword),
        ("Admin:123456", VerifyError::UnknownUser),
        ("admin: 123456", VerifyError::WrongPassword),
        ("joe:123456", VerifyError::UnknownUser),
        ("joe:dummy password", VerifyError::UnknownUser),
    ] {
        assert_eq!(verify(&accounts, line), Err(error), "{line}");
    }
}

#[test]
fn plain_and_hashed_accounts_of_one_file_verified() {
    let source = user("jane", &format!("password_hash = \"{SESAME}\""))
        + &user("admin", &format!("password_hash = \"{DIGITS}\""))
        + &user("plain", "password = \"plain one\"");
    let accounts = Accounts::from_toml(&source).unwrap();
    let costs: Vec<_> = accounts.costs().map(|cost| cost.to_string()).collect();
    assert_eq!(costs, ["m=8,t=1,p=1", "m=16,t=2,p=1"]);
    assert_eq!(accounts.plain_password_count(), 1);
    for line in ["jane:open sesame", "admin:123456", "plain:plain one"] {
        let (name, _) = line.split_once(':').unwrap();
        assert_eq!(verify(&accounts, line).as_deref(), Ok(name), "{line}");
    }
    for (line, error) in [
        ("jane:123456", VerifyError::WrongPassword),
        ("admin:open sesame", VerifyError::WrongPassword),
        ("plain:open sesame", VerifyError::WrongPassword),
        ("plain:dummy password", VerifyError::WrongPassword),
        ("joe:open sesame", VerifyError::UnknownUser),
        ("joe:plain one", VerifyError::UnknownUser),
        ("jane:dummy password", VerifyError::WrongPassword),
    ] {
        assert_eq!(verify(&accounts, line), Err(error), "{line}");
    }
}

/// Otherwise the time of a reply would reveal if the user exists.
#[test]
fn verification_computes_one_hash_of_each_cost() {
    let source = user("jane", &format!("password_hash = \"{SESAME}\""))
        + &user("admin", &format!("password_hash = \"{DIGITS}\""))
        + &user("plain", "password = \"plain one\"")
        + &user(
            "late",
            &format!("password_hash = \"{SESAME}\"\nexpires = 1970-01-01T00:00:00Z"),
        );
    let accounts = Accounts::from_toml(&source).unwrap();
    let costs: Vec<_> = accounts.costs().collect();
    assert_eq!(costs.len(), 2);
    for line in [
        "jane:open sesame",
        "jane:wrong",
        "admin:123456",
        "admin:wrong",
        "plain:plain one",
        "plain:wrong",
        "late:open sesame",
        "late:wrong",
        "joe:wrong",
    ] {
        let computed = costs_of(|| drop(verify(&accounts, line)));
        assert_eq!(computed, costs, "{line}");
    }
}

#[test]
fn expired_account_rejected_and_revoked() {
    let source = user(
        "jane",
        "password = \"x\"\nexpires = 1970-01-02T02:00:00+02:00",
    );
    let negative_offset = source.replace("02T02:00:00+02:00", "01T22:30:00-01:30");
    let accounts = Accounts::from_toml(&source).unwrap();
    let end = NOW + Duration::from_hours(24);
    let before = end - Duration::from_nanos(1);
    let credentials = Credentials::parse("jane:x").unwrap();
    let identity = verify_at(&accounts, &credentials, before).unwrap();
    let error = verify_at(&accounts, &credentials, end).unwrap_err();
    assert_eq!(error, VerifyError::Expired);
    // A wrong password is reported first.
    let wrong = Credentials::parse("jane:y").unwrap();
    let error = verify_at(&accounts, &wrong, end).unwrap_err();
    assert_eq!(error, VerifyError::WrongPassword);
    assert_eq!(accounts.check(&identity, before), Ok(()));
    assert_eq!(accounts.check(&identity, end), Err(Revoked::Expired));
    assert_eq!(accounts.next_expiry(before), Some(end));
    let negative_offset = Accounts::from_toml(&negative_offset).unwrap();
    assert_eq!(negative_offset.next_expiry(before), Some(end));
    assert_eq!(accounts.next_expiry(end), None);
}

#[test]
fn identity_valid_until_user_or_password_changes() {
    let hashed = format!("password_hash = \"{SESAME}\"");
    let before = user("jane", "password = \"x\"") + &user("hashed", &hashed);
    let before = Accounts::from_toml(&before).unwrap();
    let jane = identity(&before, "jane:x").unwrap();
    let hashed_identity = identity(&before, "hashed:open sesame").unwrap();
    for (source, jane_holds, hashed_holds) in [
        // The order, other users and a future expiry change nothing.
        (
            user("hashed", &hashed)
                + &user("new", "password = \"y\"")
                + &user("jane", "password = \"x\"\nexpires = 2030-01-01T00:00:00Z"),
            Ok(()),
            Ok(()),
        ),
        (
            user("jane", "password = \"y\""),
            Err(Revoked::Changed),
            Err(Revoked::Removed),
        ),
        (
            user("jane", &hashed) + &user("hashed", "password = \"open sesame\""),
            Err(Revoked::Changed),
            Err(Revoked::Changed),
        ),
    ] {
        let after = Accounts::from_toml(&source).unwrap();
        assert_eq!(after.check(&jane, NOW), jane_holds, "{source}");
        assert_eq!(after.check(&hashed_identity, NOW), hashed_holds, "{source}");
    }
}

#[test]
fn debug_shows_no_password() {
    let source = user("admin", "password = \"123456\"")
        + &user("jane", &format!("password_hash = \"{SESAME}\""));
    let accounts = Accounts::from_toml(&source).unwrap();
    let shown = format!("{accounts:?} {:?}", identity(&accounts, "admin:123456"));
    assert!(shown.contains("admin"));
    for secret in ["123456", "MDEyMzQ1"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[test]
fn invalid_file_refused_with_remedy() {
    let long = format!(
        "[[user]]\nname = \"a\"\npassword = \"{}\"",
        "x".repeat(1023)
    );
    for (source, message) in [
        (
            "",
            "there are no users: write [[user]] with a name and a password_hash for each account",
        ),
        (
            "[[user]]\npassword = \"x\"",
            "line 1: the key `name` is missing",
        ),
        // Row: words of the parser.
        (
            "\n[user]\nname = \"a\"",
            "line 2: write [[user]], not [user]",
        ),
        (
            "[[user]]\nname = \"a\"",
            "line 2: `user.name`: this user has no password; write a password_hash, which \
             `ws-server hash-password` prints",
        ),
        (
            "[[user]]\nname = \"a\"\npassword = \"98765\"\n\
             password_hash = \"$argon2id$v=19$m=8,t=1,p=1$MDEyMzQ1Njc4OWFiY2RlZg$xaW9jW1nqBjBzztRIhRyK5oGq6/azN5UkLyxA9sPeBo\"",
            "line 3: `user.password`: this user also has a password_hash; write only one of them",
        ),
        (
            "[[user]]\nname = \"a\"\npassword_hash = \"98765\"",
            "line 3: `user.password_hash`: a hash is written as \
             $argon2id$v=19$m=19456,t=2,p=1$...$..., which `ws-server hash-password` prints",
        ),
        (
            "[[user]]\nname = \"a\"\npassword = \"x\"\nexpires = 2030-12-31",
            "line 4: `user.expires`: write a date and time with an offset, without quotes, such as \
             2030-12-31T23:59:59Z",
        ),
        (
            "[[user]]\nname = \"a\"\npassword = \"x\"\nexpires = \"2030-12-31T23:59:59Z\"",
            "line 4: `user.expires`: write a date and time with an offset, without quotes, such as \
             2030-12-31T23:59:59Z",
        ),
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
            "line 6: `user.name`: duplicate user name; write one entry for each user",
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
fn errors_never_quote_password() {
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
        "[[user]]\nname = \"a\"\npassword_hash = \"98765\"",
        "[[user]]\nname = \"a\"\npassword_hash = 98765",
        "[[user]]\nname = \"a\"\npassword = \"98765\"\npassword_hash = \"98765\"",
    ] {
        let error = Accounts::from_toml(source).unwrap_err();
        assert!(!error.to_string().contains("98765"), "{error}");
        assert!(!format!("{error:?}").contains("98765"), "{error:?}");
    }
}

#[test]
fn file_with_too_many_costs_refused() {
    let user_of_cost = |memory_kib: usize| {
        let hash = SESAME.replace("m=8", &format!("m={memory_kib}"));
        user(
            &format!("u{memory_kib}"),
            &format!("password_hash = \"{hash}\""),
        )
    };
    let four: String = (8..12).map(user_of_cost).collect();
    assert_eq!(Accounts::from_toml(&four).unwrap().costs().len(), 4);
    assert_eq!(
        Accounts::from_toml(&(four + &user_of_cost(12)))
            .unwrap_err()
            .to_string(),
        "line 15: `user.password_hash`: more than 4 different hash costs in this file, \
         and each login computes one hash of each; hash some passwords again"
    );
}
