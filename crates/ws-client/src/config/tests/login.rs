//! The login method, the credentials and the servers that they are sent to.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
};

use super::fixtures::{CERTIFICATE, WITH_LOGIN, directory, insecure, line, load, url};
use crate::{
    config::{Auth, Cleartext, Config, Flags, LoginSource, PasswordCommand, PasswordSource},
    console::Mode,
    tls::{TransportKind, Trust},
};

#[test]
fn auth_of_file_applies_to_its_url_only() {
    let file = "url = \"ws://127.0.0.1:99\"\n[login]\nauth = \"basic\"\n";
    let files = [("config/client.toml", file)];
    let config = load(&files, Flags::default()).unwrap();
    assert_eq!(config.auth, Auth::Basic);
    assert!(matches!(config.login, LoginSource::Ask));
    // The other user belongs to the same server.
    let jane = |flags| Flags {
        user: Some("jane".into()),
        ..flags
    };
    let config = load(&files, jane(Flags::default())).unwrap();
    assert_eq!(config.auth, Auth::Basic);
    let config = load(&files, jane(url("ws://127.0.0.1:98"))).unwrap();
    assert_eq!(config.auth, Auth::Message);
    let config = load(&files, url("ws://127.0.0.1:98")).unwrap();
    assert_eq!(config.auth, Auth::Message);
    assert_eq!(config.notices.len(), 1);
}

#[test]
fn auth_flag_overrides_the_file() {
    let with_auth = |auth, flags| Flags {
        auth: Some(auth),
        ..flags
    };
    let file = "[login]\nauth = \"basic\"\nuser = \"jane\"\n";
    let files = [("config/client.toml", file)];
    let config = load(&files, with_auth(Auth::Message, Flags::default())).unwrap();
    assert_eq!(config.auth, Auth::Message);
    assert!(matches!(config.login, LoginSource::AskPassword(name) if name.as_str() == "jane"));
    // Neither a file nor a login in it is needed.
    for files in [&[][..], &[("config/client.toml", "")], WITH_LOGIN] {
        for place in [Flags::default(), url("ws://127.0.0.1:98")] {
            let config = load(files, with_auth(Auth::Basic, place)).unwrap();
            assert_eq!(config.auth, Auth::Basic);
        }
    }
    // No way of logging in makes an open network safe.
    let elsewhere = with_auth(Auth::Basic, url("ws://192.0.2.1"));
    assert!(
        load(&[], elsewhere)
            .unwrap_err()
            .contains("--allow-insecure")
    );
}

#[test]
fn auth_none_needs_no_credentials_and_no_tls() {
    let none = |flags| Flags {
        auth: Some(Auth::None),
        ..flags
    };
    let file = [("config/client.toml", "[login]\nauth = \"none\"\n")];
    let gone = "[login]\nuser = \"jane\"\npassword_file = \"gone\"\n";
    let gone = [("config/client.toml", gone)];
    for (files, flags) in [
        (&file[..], Flags::default()),
        (&[], none(Flags::default())),
        // The login for another server or another time is not read.
        (&gone, none(Flags::default())),
        (WITH_LOGIN, none(url("ws://127.0.0.1:98"))),
        (&[], none(url("ws://192.0.2.1/room/lobby"))),
    ] {
        let config = load(files, flags).unwrap();
        assert_eq!(config.auth, Auth::None);
        assert!(matches!(config.login, LoginSource::Ask));
        assert!(config.notices.is_empty(), "{:?}", config.notices);
    }
}

#[test]
fn user_with_auth_none_is_an_error() {
    let jane = |auth| Flags {
        auth,
        user: Some("jane".into()),
        ..Flags::default()
    };
    let file = [("config/client.toml", "[login]\nauth = \"none\"\n")];
    let message = "--user: auth \"none\" needs no user; leave --user out, or choose another --auth";
    assert_eq!(load(&[], jane(Some(Auth::None))).unwrap_err(), message);
    assert_eq!(load(&file, jane(None)).unwrap_err(), message);
    let config = load(&file, jane(Some(Auth::Basic))).unwrap();
    assert_eq!(config.auth, Auth::Basic);
}

#[test]
fn configured_credentials_are_used_for_their_url() {
    for flags in [Flags::default(), url("ws://127.0.0.1:99/other?path")] {
        let config = load(WITH_LOGIN, flags).unwrap();
        assert_eq!(line(&config).as_deref(), Some("admin:123456"));
        assert!(config.notices.is_empty());
    }
}

#[test]
fn configured_credentials_are_not_sent_elsewhere() {
    for elsewhere in ["ws://127.0.0.1:98", "ws://localhost:99", "ws://[::1]:99"] {
        let config = load(WITH_LOGIN, url(elsewhere)).unwrap();
        assert_eq!(line(&config), None, "{elsewhere}");
        assert_eq!(config.notices.len(), 1);
    }
    let config = load(WITH_LOGIN, url("ws://127.0.0.1:98")).unwrap();
    assert!(
        config.notices[0].ends_with(
            "config/client.toml is for ws://127.0.0.1:99 and is not used for ws://127.0.0.1:98"
        ),
        "{}",
        config.notices[0]
    );
}

#[test]
fn credentials_of_flags_are_used_for_any_url() {
    let directory = directory(WITH_LOGIN);
    let flags = Flags {
        user: Some("jane".into()),
        password: Some(PasswordSource::File(directory.path().join("config/secret"))),
        ..url("ws://127.0.0.1:98")
    };
    let config = Config::load(flags, directory.path(), Mode::Pipe).unwrap();
    assert_eq!(line(&config).as_deref(), Some("jane:123456"));
    assert!(config.notices.is_empty());
}

#[test]
fn user_without_password_is_prompted() {
    let jane = || Flags {
        user: Some("jane".into()),
        ..Flags::default()
    };
    // The password in the file belongs to another user.
    let config = load(WITH_LOGIN, jane()).unwrap();
    assert!(matches!(config.login, LoginSource::AskPassword(name) if name.as_str() == "jane"));
    let directory = directory(&[]);
    let error = Config::load(jane(), directory.path(), Mode::Pipe).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the password of jane cannot be asked for without a terminal; name its source by \
         --password-file, --password-command or --password-stdin"
    );
}

/// Former fault: no warning of a password file that every user may read.
#[test]
fn password_file_open_to_others_is_warned_of() {
    let directory = directory(WITH_LOGIN);
    let path = directory.path().join("config/secret");
    fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    let by_flag = Flags {
        url: Some("ws://127.0.0.1:1".into()),
        user: Some("jane".into()),
        password: Some(PasswordSource::File(path.clone())),
        ..Flags::default()
    };
    for flags in [Flags::default(), by_flag] {
        let config = Config::load(flags, directory.path(), Mode::Pipe).unwrap();
        let path = path.display();
        assert_eq!(
            config.notices,
            [format!(
                "warning: {path}: everybody on this machine may read it or write to it (its mode is \
                 0644), and it holds passwords: run `chmod o= {path}`"
            )]
        );
    }
}

#[test]
fn password_without_tls_is_refused_off_loopback() {
    let message = "a password sent to 192.0.2.1:80 could be read on the way, because ws:// is not \
                   encrypted; use wss://, or say with --allow-insecure that the network can be \
                   trusted";
    assert_eq!(
        load(&[], url("ws://192.0.2.1")).unwrap_err(),
        message.to_owned()
    );
    let allowed = Flags {
        cleartext: Cleartext::Allowed,
        ..url("ws://192.0.2.1")
    };
    assert!(load(&[], allowed).is_ok());
}

#[test]
fn password_with_tls_is_sent_to_any_host() {
    for trusting in [Trust::Insecure, Trust::File("config/ca.pem".into())] {
        let directory = directory(&[("config/ca.pem", CERTIFICATE)]);
        let trust = match trusting {
            Trust::File(path) => Trust::File(directory.path().join(path)),
            trust => trust,
        };
        let flags = Flags {
            trust: Some(trust),
            ..url("wss://192.0.2.1")
        };
        let config = Config::load(flags, directory.path(), Mode::Interactive).unwrap();
        assert_eq!(config.endpoint.authority(), "192.0.2.1:443");
        assert!(matches!(config.transport, TransportKind::Tls(_)));
    }
}

#[test]
fn configured_credentials_stay_on_tls() {
    let secure = [
        (
            "config/client.toml",
            "url = \"wss://127.0.0.1:99\"\n[login]\nuser = \"admin\"\npassword_file = \"secret\"\n",
        ),
        WITH_LOGIN[1],
    ];
    let config = load(&secure, insecure(Flags::default())).unwrap();
    assert_eq!(line(&config).as_deref(), Some("admin:123456"));
    let config = load(&secure, insecure(url("wss://127.0.0.1:99/room"))).unwrap();
    assert_eq!(line(&config).as_deref(), Some("admin:123456"));
    let config = load(&secure, url("ws://127.0.0.1:99")).unwrap();
    assert_eq!(line(&config), None);
    assert!(
        config.notices[0].ends_with(
            "config/client.toml is for wss://127.0.0.1:99 and is not used for ws://127.0.0.1:99"
        ),
        "{}",
        config.notices[0]
    );
    let config = load(WITH_LOGIN, insecure(url("wss://127.0.0.1:99"))).unwrap();
    assert_eq!(line(&config), None);
    assert_eq!(config.notices.len(), 1);
}

/// Loads the configuration of a pipe.
fn piped(files: &[(&str, &str)], flags: Flags) -> Result<Config, String> {
    let directory = directory(files);
    Config::load(flags, directory.path(), Mode::Pipe).map_err(|error| error.to_string())
}

#[test]
fn password_of_pipe_comes_from_stdin_or_command() {
    let jane = |password| Flags {
        user: Some("jane".into()),
        password: Some(password),
        ..Flags::default()
    };
    let config = piped(&[], jane(PasswordSource::Stdin)).unwrap();
    assert!(matches!(config.login, LoginSource::AskPassword(name) if name.as_str() == "jane"));
    assert_eq!(config.password_command, None);
    let command = PasswordCommand::parse("pass show jane").unwrap();
    let config = piped(&[], jane(PasswordSource::Command(command.clone()))).unwrap();
    assert!(matches!(config.login, LoginSource::AskPassword(name) if name.as_str() == "jane"));
    assert_eq!(config.password_command, Some(command));
}

#[test]
fn password_command_is_no_key_of_the_default_file() {
    let source = "[login]\nuser = \"jane\"\npassword_command = \"pass show 'a b'\"\n";
    let files = [("config/client.toml", source)];
    assert_eq!(
        load(&files, Flags::default()).unwrap_err(),
        "config/client.toml: line 3: `login.password_command`: a file of the current directory may \
         not name a command; name this file with --config"
    );
    let directory = directory(&files);
    let named = Flags {
        config: Some(directory.path().join("config/client.toml")),
        ..Flags::default()
    };
    let config = Config::load(named, directory.path(), Mode::Pipe).unwrap();
    let command = PasswordCommand::parse("pass show 'a b'").unwrap();
    assert_eq!(config.password_command, Some(command));
    assert!(matches!(config.login, LoginSource::AskPassword(name) if name.as_str() == "jane"));
}

const WITH_TOKEN: &[(&str, &str)] = &[
    (
        "config/client.toml",
        "url = \"wss://127.0.0.1:99\"\ncacert = \"authority.pem\"\n[login]\nbearer_file = \"token\"\n",
    ),
    ("config/authority.pem", CERTIFICATE),
    ("config/token", "abc\n"),
];

#[test]
fn bearer_file_chooses_auth_bearer() {
    let config = load(WITH_TOKEN, Flags::default()).unwrap();
    assert_eq!((config.auth, config.bearer.is_some()), (Auth::Bearer, true));
    assert!(matches!(config.login, LoginSource::Ask));
    // The token is for its server only.
    let config = load(WITH_TOKEN, url("ws://127.0.0.1:99")).unwrap();
    assert_eq!(
        (config.auth, config.bearer.is_some()),
        (Auth::Message, false)
    );
    let directory = directory(&[("token", "abc")]);
    let token = |auth, flags| Flags {
        auth,
        bearer_file: Some(directory.path().join("token")),
        ..flags
    };
    for auth in [None, Some(Auth::Bearer)] {
        let config = load(&[], token(auth, Flags::default())).unwrap();
        assert_eq!((config.auth, config.bearer.is_some()), (Auth::Bearer, true));
    }
    assert_eq!(
        load(&[], token(Some(Auth::Basic), Flags::default())).unwrap_err(),
        "--bearer-file: auth \"basic\" needs no token; leave one of the two out"
    );
    assert_eq!(
        load(&[], token(None, url("ws://192.0.2.1"))).unwrap_err(),
        "a bearer token sent to 192.0.2.1:80 could be read on the way, because ws:// is not \
         encrypted; use wss://, or say with --allow-insecure that the network can be trusted"
    );
    let allowed = Flags {
        cleartext: Cleartext::Allowed,
        ..token(None, url("ws://192.0.2.1"))
    };
    assert_eq!(load(&[], allowed).unwrap().auth, Auth::Bearer);
}

#[test]
fn bearer_without_usable_token_is_an_error() {
    let bearer = |flags| Flags {
        auth: Some(Auth::Bearer),
        ..flags
    };
    assert_eq!(
        load(&[], bearer(Flags::default())).unwrap_err(),
        "--auth bearer: there is no token; name the file with the token by --bearer-file"
    );
    let jane = Flags {
        user: Some("jane".into()),
        ..bearer(Flags::default())
    };
    let directory = directory(&[("token", "hunter2 x")]);
    let path = directory.path().join("token");
    let with_user = Flags {
        bearer_file: Some(path.clone()),
        ..jane
    };
    let malformed = Flags {
        bearer_file: Some(path.clone()),
        ..Flags::default()
    };
    assert_eq!(
        load(&[], malformed).unwrap_err(),
        format!(
            "the bearer file {}: the token is one line without spaces; write only the token into \
             it",
            path.display()
        )
    );
    fs::write(&path, "abc").unwrap();
    assert_eq!(
        load(&[], with_user).unwrap_err(),
        "--user: auth \"bearer\" needs no user; leave --user out, or choose another --auth"
    );
}
