//! The merging of flags, file and defaults.

use std::{fs, path::Path, time::Duration};

use super::fixtures::{line, load};
use crate::config::{Auth, Flags, Goal, LoginSource};

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
