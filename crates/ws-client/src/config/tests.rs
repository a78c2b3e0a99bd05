use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    time::Duration,
};

use super::{Auth, Cleartext, Config, Flags, Goal, LoginSource, file::check_owner};
use crate::{
    console::Mode,
    tls::{TransportKind, Trust},
};

/// Returns a directory with these files.
fn directory(files: &[(&str, &str)]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir(directory.path().join("config")).unwrap();
    for (name, content) in files {
        let path = directory.path().join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    }
    directory
}

fn load(files: &[(&str, &str)], flags: Flags) -> Result<Config, String> {
    let directory = directory(files);
    let config = Config::load(flags, directory.path(), Mode::Interactive);
    let path = format!("{}/", directory.path().display());
    config.map_err(|error| {
        let cause = std::error::Error::source(&error);
        let cause = cause.map_or(String::new(), |cause| format!(": {cause}"));
        format!("{error}{cause}").replace(&path, "")
    })
}

fn url(url: &str) -> Flags {
    Flags {
        url: Some(url.into()),
        ..Flags::default()
    }
}

const WITH_LOGIN: &[(&str, &str)] = &[
    (
        "config/client.toml",
        "url = \"ws://127.0.0.1:99\"\n[login]\nuser = \"admin\"\npassword_file = \"secret\"\n",
    ),
    ("config/secret", "123456\n"),
];

/// A certificate without its key.
const CERTIFICATE: &str = "\
-----BEGIN CERTIFICATE-----
MIIBnzCCAUWgAwIBAgIUCMfv3VG3ZeRbKXfxwpncgUtWO+owCgYIKoZIzj0EAwIw
JDEiMCAGA1UEAwwZYW4gYXV0aG9yaXR5IG9mIHRoZSB0ZXN0czAgFw0yNjExMjUx
OTQwMzRaGA8yMTI2MTEwMTE5NDAzNFowJDEiMCAGA1UEAwwZYW4gYXV0aG9yaXR5
IG9mIHRoZSB0ZXN0czBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABDoSjHqP1DAS
yCGEcPE83JGqvFFgheMIUVVfvEKWTcLZhl/T9x6uUAOhlyIfhC+QsKLhEA3SMfYa
1voO8VmEH1WjUzBRMB0GA1UdDgQWBBQoS/osfTzT62SpIQKawJPvCVUjVjAfBgNV
HSMEGDAWgBQoS/osfTzT62SpIQKawJPvCVUjVjAPBgNVHRMBAf8EBTADAQH/MAoG
CCqGSM49BAMCA0gAMEUCIQDLp4tmKAHVC7+U4AhWYHs8flBRA8Xq3F+SI8YQUooc
BQIgROk3VbYdWkW3l86YO45ZYO++EgvfE3kRuB0X0gVaj+A=
-----END CERTIFICATE-----
";

/// Returns the login line that is sent without asking.
fn line(config: &Config) -> Option<String> {
    match &config.login {
        LoginSource::Configured(credentials) => Some(credentials.line().expose().to_owned()),
        LoginSource::Ask | LoginSource::AskPassword(_) => None,
    }
}

#[test]
fn missing_file_gives_the_defaults() {
    let config = load(&[], Flags::default()).unwrap();
    assert_eq!(config.endpoint.to_string(), "ws://127.0.0.1:5678/");
    assert_eq!(config.goal, Goal::AllAnswered(Duration::from_secs(1)));
    assert_eq!(config.connect_deadline, Duration::from_secs(10));
    assert_eq!(config.close_deadline, Duration::from_secs(5));
    assert_eq!(config.reply_deadline, Duration::from_secs(30));
    assert_eq!(config.max_message_bytes.get(), 16 << 20);
    assert_eq!(config.auth, Auth::Message);
    assert!(matches!(config.login, LoginSource::Ask));
    assert!(config.notices.is_empty());
}

#[test]
#[ignore = "needs config/ as it is checked in"]
fn shipped_file_states_the_defaults() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let source = fs::read_to_string(workspace.join("config/client.toml")).unwrap();
    let mut shipped = load(&[("config/client.toml", &source)], Flags::default()).unwrap();
    assert!(shipped.file_notice.take().is_some());
    let defaults = load(&[], Flags::default()).unwrap();
    assert_eq!(format!("{shipped:?}"), format!("{defaults:?}"));
    for key in [
        "url",
        "linger",
        "connect_deadline",
        "close_deadline",
        "reply_deadline",
        "max_message_bytes",
    ] {
        assert!(source.contains(&format!("\n{key} = ")), "{key}");
    }
    let with_login: String = source
        .lines()
        .map(|line| line.strip_prefix("#! ").unwrap_or(line).to_owned() + "\n")
        .collect();
    let files = [
        ("config/client.toml", with_login.as_str()),
        ("config/password", "123456"),
    ];
    let config = load(&files, Flags::default()).unwrap();
    assert_eq!(line(&config).as_deref(), Some("admin:123456"));
    assert!(source.contains("\n#! auth = \"message\"\n"));
    assert!(source.contains("\n#! cacert = \"authority.pem\"\n"));
    assert_eq!(config.auth, Auth::Message);
}

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
fn flags_override_the_file() {
    let file = "url = \"ws://127.0.0.1:1\"\nlinger = \"2s\"\nmax_message_bytes = \"1KiB\"\n\
                reply_deadline = \"3s\"\nclose_deadline = \"4s\"\n";
    let flags = Flags {
        url: Some("ws://127.0.0.1:2".into()),
        linger: Some("7s".parse().unwrap()),
        max_message_bytes: Some("2KiB".parse().unwrap()),
        ..Flags::default()
    };
    let config = load(&[("config/client.toml", file)], flags).unwrap();
    assert_eq!(config.endpoint.authority(), "127.0.0.1:2");
    assert_eq!(config.goal, Goal::AllAnswered(Duration::from_secs(7)));
    assert_eq!(config.max_message_bytes.get(), 2048);
    assert_eq!(config.reply_deadline, Duration::from_secs(3));
    assert_eq!(config.close_deadline, Duration::from_secs(4));
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
        password_file: Some(directory.path().join("config/secret")),
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
        "the password of jane cannot be asked for without a terminal; name a file with the password \
         by --password-file"
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
        password_file: Some(path.clone()),
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

/// Returns flags that need no root certificates, which the test system may lack.
fn insecure(flags: Flags) -> Flags {
    Flags {
        trust: Some(Trust::Insecure),
        ..flags
    }
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

#[test]
fn cacert_of_file_is_relative_to_the_file() {
    let files = [
        (
            "config/client.toml",
            "url = \"wss://h\"\ncacert = \"ca.pem\"\n",
        ),
        ("config/ca.pem", CERTIFICATE),
        ("config/empty", ""),
    ];
    for flags in [Flags::default(), url("wss://h/other")] {
        let config = load(&files, flags).unwrap();
        let trust = format!("{:?}", config.transport);
        assert!(trust.contains("config/ca.pem"), "{trust}");
    }
    // A URL without TLS ignores it, and a flag overrides it.
    let config = load(&files, url("ws://127.0.0.1")).unwrap();
    assert!(matches!(config.transport, TransportKind::Tcp));
    assert_eq!(config.transport.warning(), None);
    let config = load(&files, insecure(Flags::default())).unwrap();
    assert!(config.transport.warning().is_some());
    let gone = Flags {
        trust: Some(Trust::File("/nonexistent".into())),
        ..Flags::default()
    };
    assert_eq!(
        load(&files, gone).unwrap_err(),
        "the certificate file /nonexistent cannot be read: No such file or directory (os error 2)"
    );
    let wrong = "url = \"wss://h\"\ncacert = \"empty\"\n";
    let files = [("config/client.toml", wrong), files[2]];
    assert_eq!(
        load(&files, Flags::default()).unwrap_err(),
        "the certificate file config/empty: it holds no certificate; it must be PEM, which begins \
         with -----BEGIN CERTIFICATE-----"
    );
}

/// A checkout could otherwise make a foreign server pass for any other one.
#[test]
fn cacert_of_file_is_for_its_origin_only() {
    let trusting = "url = \"wss://h\"\ncacert = \"ca.pem\"\n";
    let files = [
        ("config/client.toml", trusting),
        ("config/ca.pem", CERTIFICATE),
    ];
    for elsewhere in ["wss://other", "wss://h:8443"] {
        // A system without root certificates reports that.
        let Ok(config) = load(&files, url(elsewhere)) else {
            continue;
        };
        let trust = format!("{:?}", config.transport);
        assert!(!trust.contains("config/ca.pem"), "{trust}");
        let notice = format!(
            "config/client.toml is for wss://h:443 and is not used for {}",
            if elsewhere == "wss://other" {
                "wss://other:443"
            } else {
                elsewhere
            }
        );
        assert!(config.notices[0].ends_with(&notice), "{:?}", config.notices);
    }
    let config = load(&files, url("ws://127.0.0.1")).unwrap();
    assert!(config.notices.is_empty());
    let config = load(&files, insecure(url("wss://other"))).unwrap();
    assert!(config.notices.is_empty());
}

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
fn insecure_is_no_key_of_the_file() {
    let file = [("config/client.toml", "insecure = true\n")];
    let error = load(&file, Flags::default()).unwrap_err();
    assert!(error.contains("unknown key `insecure`"), "{error}");
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
            "url = \"http://x\"",
            "config/client.toml: line 1: `url`: the URL must begin with ws:// instead of http://",
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
            "config/client.toml: line 2: `login.auth`: write \"message\", \"basic\" \
             or \"none\"",
        ),
        (
            "[login]\nauth = \"none\"\nuser = \"jane\"",
            "config/client.toml: line 3: `login.user`: auth = \"none\" needs no user; take \
             one of the two out",
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

fn with_headers(url: &str, headers: &[&str]) -> Flags {
    Flags {
        url: Some(url.into()),
        auth: Some(Auth::None),
        headers: headers.iter().map(ToString::to_string).collect(),
        ..Flags::default()
    }
}

#[test]
fn header_fields_come_from_arguments_and_files() {
    let directory = directory(&[("fields", "\u{feff}X-A: 1\r\n\nCookie: c\n")]);
    let path = directory.path().join("fields");
    let at = format!("@{}", path.display());
    let load = || {
        let flags = with_headers("ws://127.0.0.1:1", &["X-B: 2", &at]);
        Config::load(flags, directory.path(), Mode::Pipe).unwrap()
    };
    let config = load();
    for name in ["x-a", "X-B", "cookie"] {
        assert!(config.fields.has(name), "{name}");
    }
    assert!(config.notices.is_empty());
    fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    assert!(load().notices[0].contains("chmod o= "));
}

#[test]
fn secret_field_without_tls_is_refused_off_loopback() {
    let files = [("fields", "X-A: 1")];
    let directory = directory(&files);
    let at = format!("@{}", directory.path().join("fields").display());
    for header in ["authorization: t0ken", "Cookie: t0ken", &at] {
        let error = load(&[], with_headers("ws://192.0.2.1", &[header])).unwrap_err();
        assert_eq!(
            error,
            "a secret header field sent to 192.0.2.1:80 could be read on the way, because ws:// is \
             not encrypted; use wss://, or say with --allow-insecure that the network can be trusted"
        );
        for url in ["wss://192.0.2.1", "ws://127.0.0.1"] {
            assert!(load(&[], with_headers(url, &[header])).is_ok(), "{url}");
        }
        let allowed = Flags {
            cleartext: Cleartext::Allowed,
            ..with_headers("ws://192.0.2.1", &[header])
        };
        assert!(load(&[], allowed).is_ok());
    }
    assert!(load(&[], with_headers("ws://192.0.2.1", &["X-A: 1"])).is_ok());
}

#[test]
fn unusable_header_is_refused_and_not_quoted() {
    let url = "ws://127.0.0.1:1";
    let basic = Flags {
        auth: Some(Auth::Basic),
        ..with_headers(url, &["Authorization: t0ken"])
    };
    let origin = Flags {
        origin: Some("http://a".parse().unwrap()),
        ..with_headers(url, &["origin: t0ken"])
    };
    for (flags, error) in [
        (
            with_headers(url, &["t0ken"]),
            "--header: a header field is written as \"Name: value\"",
        ),
        (
            with_headers(url, &["Upgrade: t0ken"]),
            "--header: Upgrade cannot be set: the client sets it itself; leave it out",
        ),
        (
            with_headers(url, &["Sec-WebSocket-Protocol: t0ken"]),
            "--header: Sec-WebSocket-Protocol cannot be set: use --subprotocol",
        ),
        (
            with_headers(url, &["X: a\nt0ken: b"]),
            "--header: the value of X has a control character, such as a line break; remove it",
        ),
        (
            with_headers(url, &["Host: a", "host: b"]),
            "--header: Host is given twice, and a request has it once; remove one",
        ),
        (
            with_headers(url, &["@/nonexistent"]),
            "the header file /nonexistent cannot be read: No such file or directory (os error 2)",
        ),
        (
            basic,
            "--header: Authorization is set by --auth basic as well; leave one of them out",
        ),
        (
            origin,
            "--header: Origin is set by --origin as well; leave one of them out",
        ),
    ] {
        assert_eq!(load(&[], flags).unwrap_err(), error);
    }
    let directory = directory(&[("fields", "A: b\n\nConnection: t0ken\n")]);
    let path = directory.path().join("fields");
    let error = load(&[], with_headers(url, &[&format!("@{}", path.display())])).unwrap_err();
    assert_eq!(
        error,
        format!(
            "the header file {}: line 3: Connection cannot be set: the client sets it itself; leave \
             it out",
            path.display()
        )
    );
}
