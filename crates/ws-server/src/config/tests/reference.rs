//! The shipped configuration file and the page in `docs/` list each key with its default.

use std::{collections::BTreeSet, fs, path::Path};

use proto::config::known_keys;

use crate::{
    config::{
        AdminTable, Config, LoginTable, TlsFiles,
        changes::values,
        config::EchoTable,
        load_accounts,
        route::{CommonKeys, ServiceName},
    },
    limits::Limits,
};

/// Reads a file of the repository.
fn read(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    fs::read_to_string(root.join(path)).unwrap()
}

/// Returns the keys that can be written, as `table.key`.
fn keys() -> BTreeSet<String> {
    let service_keys = ServiceName::ALL.iter().flat_map(|service| service.keys());
    let route_keys: Vec<_> = known_keys::<CommonKeys>()
        .iter()
        .chain(service_keys)
        .copied()
        .collect();
    let tables = [
        ("tls", known_keys::<TlsFiles>()),
        ("admin", known_keys::<AdminTable>()),
        ("login", known_keys::<LoginTable>()),
        ("limits", known_keys::<Limits>()),
        ("echo", known_keys::<EchoTable>()),
        ("route", &route_keys),
    ];
    let mut keys: BTreeSet<String> = known_keys::<Config>()
        .iter()
        .map(ToString::to_string)
        .collect();
    for (table, table_keys) in tables {
        assert!(keys.remove(table), "{table}");
        keys.extend(table_keys.iter().map(|key| format!("{table}.{key}")));
    }
    keys
}

/// Returns the keys in a file, as `table.key`, including those in comments.
fn keys_in_file(source: &str) -> BTreeSet<String> {
    let mut table = String::new();
    let mut keys = BTreeSet::new();
    for line in source.lines() {
        let line = line.strip_prefix("#! ").unwrap_or(line);
        // A key without a default, in a route or not.
        let line = line.strip_prefix("# ").unwrap_or(line);
        if line.starts_with('[') {
            table = format!("{}.", line.trim_matches(['[', ']']));
        } else if let Some((key, _)) = line.split_once(" = ")
            && key
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte == b'_')
        {
            keys.insert(format!("{table}{key}"));
        }
    }
    keys
}

/// The page that documents each key.
const PAGE: &str = "crates/ws-server/docs/configuration.md";

/// Returns each key of the page, as `table.key`, with its default.
///
/// The heading above a table, such as ``## `[login]` ``, gives the name before the dot.
fn rows(page: &str) -> Vec<(String, &str)> {
    let mut table = String::new();
    let mut is_in_rows = false;
    let mut rows = Vec::new();
    for line in page.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            let name = heading.trim_matches('`').trim_matches(['[', ']']);
            let is_table = name != heading;
            table = if is_table {
                format!("{name}.")
            } else {
                String::new()
            };
        }
        let mut cells = line.split(" | ").map(|cell| cell.trim_matches([' ', '|']));
        match (cells.next(), cells.next()) {
            (Some("Key"), Some("Default")) => is_in_rows = true,
            (Some(key), Some(default)) if is_in_rows => {
                rows.push((
                    format!("{table}{}", key.trim_matches('`')),
                    default.trim_matches('`'),
                ));
            }
            (_, _) => is_in_rows &= line.starts_with("|---"),
        }
    }
    rows
}

#[test]
#[ignore = "needs config/ as it is checked in"]
fn shipped_file_has_each_key() {
    assert_eq!(keys_in_file(&read("config/server.toml")), keys());
}

#[test]
#[ignore = "needs config/ as it is checked in"]
fn shipped_file_sets_the_defaults() {
    let parse = |source: &str| Config::parse(source, Path::new("config")).unwrap();
    assert_eq!(parse(&read("config/server.toml")), parse(""));
}

#[test]
#[ignore = "needs config/ as it is checked in"]
fn shipped_credentials_have_one_user_admin() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/credentials.toml");
    let accounts = load_accounts(&path).unwrap();
    let users: Vec<_> = accounts.users().map(ToString::to_string).collect();
    assert_eq!(users, ["admin"]);
}

#[test]
fn page_has_each_key_once() {
    let page = read(PAGE);
    let named: Vec<_> = rows(&page).into_iter().map(|(key, _)| key).collect();
    let distinct: BTreeSet<String> = named.iter().cloned().collect();
    assert_eq!(distinct.len(), named.len(), "{named:?}");
    assert_eq!(distinct, keys());
}

#[test]
fn page_has_the_defaults() {
    let page = read(PAGE);
    for service in [
        "service = \"room\"",
        "service = \"relay\"\nto = \"ws://a\"",
        "service = \"stream\"\nto = \"tcp://a:1\"",
        "service = \"program\"\ncommand = [\"/bin/sh\"]",
    ] {
        let source = format!("[[route]]\npath = \"/\"\n{service}");
        let tables = Config::parse(&source, Path::new("")).unwrap().to_toml();
        let values = values(&tables);
        for (key, written) in rows(&page) {
            let key = key.replace("route.", "route 1.");
            if let Some(value) = values.get(&key).filter(|_| written != "required") {
                assert_eq!(written, value.to_string(), "{key}");
            }
        }
    }
}
