//! The configuration file: its choice, its bounds and its errors.

use std::{fs, path::Path};

use super::fixtures::{WITH_LOGIN, directory, line, load, url};
use crate::{
    config::{Auth, Config, Flags, PasswordSource, file::check_owner},
    console::Mode,
};

#[test]
fn default_file_names_files_of_its_folder_only() {
    let with_password = |path: &str| format!("[login]\nuser = \"a\"\npassword_file = \"{path}\"\n");
    let files = directory(&[("secret", "123456\n"), ("config/own", "123456\n")]);
    let outside = files.path().join("secret");
    std::os::unix::fs::symlink(&outside, files.path().join("config/link")).unwrap();
    let load = |source: &str, named: bool| {
        let path = files.path().join("config/client.toml");
        fs::write(&path, source).unwrap();
        let flags = Flags {
            config: named.then_some(path),
            ..Flags::default()
        };
        Config::load(flags, files.path(), Mode::Pipe).map_err(|error| error.to_string())
    };
    for leading_out in ["../secret", "link", outside.to_str().unwrap()] {
        let error = load(&with_password(leading_out), false).unwrap_err();
        let expected = format!(
            "config/client.toml: line 3: `login.password_file`: {leading_out} is not in the folder \
             of this file; move it there, or name this file with --config"
        );
        assert!(error.ends_with(&expected), "{error}");
        let config = load(&with_password(leading_out), true).unwrap();
        assert_eq!(line(&config).as_deref(), Some("a:123456"));
    }
    for inside in ["own", "../config/own"] {
        let config = load(&with_password(inside), false).unwrap();
        assert_eq!(line(&config).as_deref(), Some("a:123456"));
    }
    let error = load("url = \"wss://h\"\ncacert = \"../secret\"\n", false).unwrap_err();
    assert!(
        error.contains("line 2: `cacert`: ../secret is not in"),
        "{error}"
    );
}

#[test]
fn default_file_of_another_user_is_refused() {
    let path = Path::new("config/client.toml");
    assert!(check_owner(path, 1000, 1000).is_ok());
    // Even that of root: it may have unpacked an archive for the user.
    assert_eq!(
        check_owner(path, 0, 1000).unwrap_err().to_string(),
        "the configuration file config/client.toml belongs to another user (uid 0) and is not \
         used; run ws-client in another directory, or name the file with --config if you trust it"
    );
}

#[test]
fn default_file_that_is_no_file_is_an_error() {
    let files = directory(&[]);
    fs::create_dir(files.path().join("config/client.toml")).unwrap();
    let error = Config::load(Flags::default(), files.path(), Mode::Pipe).unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(cause, "it is no regular file");
}

#[test]
fn default_file_in_use_has_a_notice() {
    let files = [("config/client.toml", "url = \"ws://127.0.0.1:99\"\n")];
    for (files, flags, notice) in [
        (
            &files[..],
            Flags::default(),
            Some("config/client.toml of the current directory chose the server ws://127.0.0.1:99"),
        ),
        (
            &files,
            url("ws://127.0.0.1:98"),
            Some("config/client.toml of the current directory"),
        ),
        (&[], Flags::default(), None),
    ] {
        let found = load(files, flags).unwrap().file_notice;
        match notice {
            Some(notice) => assert!(found.unwrap().ends_with(notice)),
            None => assert_eq!(found, None),
        }
    }
    let directory = directory(&files);
    let named = Flags {
        config: Some(directory.path().join("config/client.toml")),
        ..Flags::default()
    };
    let config = Config::load(named, directory.path(), Mode::Pipe).unwrap();
    assert_eq!(config.file_notice, None);
}

#[test]
fn file_errors_name_line_key_and_correction() {
    for (source, message) in [
        (
            "\nlingr = \"1s\"",
            "config/client.toml: line 2: `lingr`: unknown key `lingr`; did you mean `linger`?",
        ),
        (
            "linger = 1",
            "config/client.toml: line 1: `linger`: write a time span such as \"10s\" or \"1m 30s\"",
        ),
        (
            "max_message_bytes = 0",
            "config/client.toml: line 1: `max_message_bytes`: a size is never zero",
        ),
        (
            "url = \"ftp://x\"",
            "config/client.toml: line 1: `url`: the URL must begin with ws:// or wss://, as in \
             ws://127.0.0.1:5678",
        ),
        (
            "url = \"ws://a:hunter2@x\"",
            "config/client.toml: line 1: `url`: the URL holds a password, which other users can \
             see; remove it, and use --user with --password-file",
        ),
        (
            "[login]\nuser = \"a:b\"",
            "config/client.toml: line 2: `login.user`: a name holds no `:`, which separates it \
             from the password",
        ),
        (
            "[login]\nauth = \"hunter2\"",
            "config/client.toml: line 2: `login.auth`: write \"message\", \"basic\", \
             \"bearer\" or \"none\"",
        ),
        (
            "[login]\nauth = \"none\"\nuser = \"jane\"",
            "config/client.toml: line 3: `login.user`: auth = \"none\" needs no user; take \
             one of the two out",
        ),
        (
            "[login]\nauth = \"bearer\"",
            "config/client.toml: line 2: `login.auth`: name the file with the token with the key \
             `bearer_file`",
        ),
        (
            "[login]\nauth = \"basic\"\nbearer_file = \"empty\"",
            "config/client.toml: line 3: `login.bearer_file`: auth = \"basic\" needs no token; take \
             one of the two out",
        ),
        (
            "[login]\nuser = \"a\"\npassword_file = \"x\"\npassword_command = \"x\"",
            "config/client.toml: line 4: `login.password_command`: a password has one source; take \
             password_file or password_command out",
        ),
        (
            "[login]\npassword_file = \"empty\"",
            "config/client.toml: line 2: `login.password_file`: a password belongs to a user; name \
             the user with the key `user`",
        ),
        (
            "[login]\nuser = \"a\"\npassword = \"hunter2\"",
            "config/client.toml: line 3: `login.password`: unknown key `password`; did you mean \
             `password_file`?",
        ),
        (
            "[login]\nuser = \"a\"\npassword_file = \"gone\"",
            "the password file config/gone cannot be read: No such file or directory (os error 2)",
        ),
        (
            "[login]\nuser = \"a\"\npassword_file = \"empty\"",
            "the password file config/empty: it is empty; write the password into it, on one line",
        ),
    ] {
        let files = [("config/client.toml", source), ("config/empty", "\n")];
        assert_eq!(load(&files, Flags::default()).unwrap_err(), message);
    }
}

#[test]
fn missing_named_file_is_an_error() {
    let flags = Flags {
        config: Some("/nonexistent/client.toml".into()),
        ..Flags::default()
    };
    assert_eq!(
        load(&[], flags).unwrap_err(),
        "the configuration file /nonexistent/client.toml cannot be read: No such file or directory \
         (os error 2)"
    );
}

/// Former fault: a byte order mark at the start of a file became part of its text.
#[test]
fn byte_order_mark_of_files_is_skipped() {
    let marked: Vec<_> = WITH_LOGIN
        .iter()
        .map(|(name, text)| (*name, format!("\u{feff}{text}")))
        .collect();
    let mut files: Vec<_> = marked
        .iter()
        .map(|(name, text)| (*name, text.as_str()))
        .collect();
    let config = load(&files, Flags::default()).unwrap();
    assert_eq!(line(&config).unwrap(), "admin:123456");
    files[1].1 = "\u{feff}";
    let error = load(&files, Flags::default()).unwrap_err();
    let expected = "the password file config/secret: it is empty; ";
    assert!(error.starts_with(expected), "{error}");
}

/// Former fault: bytes of Latin-1 were reported without a line and a remedy.
#[test]
fn file_not_utf8_is_reported_with_line() {
    let directory = directory(WITH_LOGIN);
    for (file, expected) in [
        ("config/secret", "line 2: this is not UTF-8"),
        ("config/client.toml", "line 2: this is not UTF-8"),
    ] {
        fs::write(directory.path().join(file), b"a\ncaf\xe9\n").unwrap();
        let error = Config::load(Flags::default(), directory.path(), Mode::Interactive);
        let error = error.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

/// Former fault: in a hostile checkout, a secret of the command line went to the server of its author.
#[test]
fn secrets_never_go_to_server_of_default_file() {
    let files = [
        ("config/client.toml", "url = \"wss://h.example:99\"\n"),
        ("config/secret", "123456\n"),
    ];
    let directory = directory(&files);
    let with_password = || Flags {
        user: Some("jane".into()),
        password: Some(PasswordSource::File(directory.path().join("config/secret"))),
        ..Flags::default()
    };
    let with_field = |field: &str| Flags {
        headers: vec![field.into()],
        ..Flags::default()
    };
    let load = |flags| Config::load(flags, directory.path(), Mode::Pipe);
    for (flags, secret) in [
        (with_password(), "the password"),
        (
            with_field("Authorization: Bearer x"),
            "a secret header field",
        ),
        (with_field("Cookie: a=b"), "a secret header field"),
        (
            Flags {
                auth: Some(Auth::Bearer),
                bearer_file: Some(directory.path().join("config/secret")),
                ..Flags::default()
            },
            "the token",
        ),
    ] {
        let error = load(flags).unwrap_err().to_string();
        let expected = format!(
            "{secret} of the command line is not sent: {}/config/client.toml of the current directory \
             chose the server wss://h.example:99; write the URL, or name the file with --config",
            directory.path().display()
        );
        assert_eq!(error, expected);
    }
    let url = Some("wss://h.example:99".to_owned());
    let named = Some(directory.path().join("config/client.toml"));
    for flags in [
        with_field("X-Tenant: blue"),
        Flags {
            url: url.clone(),
            ..with_password()
        },
        Flags {
            config: named,
            ..with_password()
        },
        Flags {
            url,
            ..with_field("Cookie: a=b")
        },
    ] {
        assert_eq!(load(flags).unwrap().endpoint.authority(), "h.example:99");
    }
    // The file names the server that the client would choose by itself.
    let default = "url = \"ws://127.0.0.1:5678\"\n";
    fs::write(directory.path().join("config/client.toml"), default).unwrap();
    load(with_password()).unwrap();
}
