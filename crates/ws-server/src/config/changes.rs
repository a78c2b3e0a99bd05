//! The keys whose values differ between two configurations.

use std::collections::{BTreeMap, BTreeSet};

use toml::{Table, Value};

/// The keys that are read only at the start. A key of this kind is listed here beside its field.
const AT_START: [&str; 7] = [
    "listen",
    "tls",
    "admin.listen",
    "log_format",
    "worker_threads",
    "login.hash_workers",
    "login.max_queued_logins",
];

/// Returns the changed keys that take effect at once.
pub(crate) fn changed_live(before: &Table, next: &Table) -> Vec<String> {
    let mut keys = changed(before, next);
    keys.retain(|key| !AT_START.contains(&key.as_str()));
    keys
}

/// Returns the changed keys that take effect at the next start.
pub(crate) fn changed_at_start(started: &Table, next: &Table) -> Vec<String> {
    let mut keys = changed(started, next);
    keys.retain(|key| AT_START.contains(&key.as_str()));
    keys
}

fn changed(before: &Table, after: &Table) -> Vec<String> {
    let (before, after) = (values(before), values(after));
    let keys: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let changed = keys
        .into_iter()
        .filter(|key| before.get(*key) != after.get(*key));
    changed.cloned().collect()
}

/// Returns the value of each key, which is named `table.key` or `route N.key`.
///
/// `tls` is reduced to whether it is set: its files may change without their names.
pub(super) fn values(tables: &Table) -> BTreeMap<String, Value> {
    let mut values = BTreeMap::new();
    let mut add = |table: &str, keys: &Table| {
        for (key, value) in keys {
            values.insert(format!("{table}.{key}"), value.clone());
        }
    };
    let mut plain = Vec::new();
    for (key, value) in tables {
        match value {
            Value::Table(files) if key == "tls" => {
                plain.push((key.clone(), Value::Boolean(!files.is_empty())));
            }
            Value::Table(keys) => add(key, keys),
            Value::Array(routes) if key == "route" => {
                for (index, route) in routes.iter().enumerate() {
                    let keys = route.as_table().expect("each route is a table");
                    add(&format!("route {}", index + 1), keys);
                }
            }
            value => plain.push((key.clone(), value.clone())),
        }
    }
    values.extend(plain);
    values
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use toml::Table;

    use super::{AT_START, changed_at_start, changed_live, values};
    use crate::config::ConfigTables;

    fn tables(source: &str) -> Table {
        let tables = ConfigTables::parse(source, Path::new("config")).unwrap();
        tables.to_toml()
    }

    #[test]
    fn what_is_written_otherwise_and_means_the_same_is_no_change() {
        assert_eq!(
            tables(""),
            tables("[login]\ndeadline = \"30000ms\"\n[echo]\n")
        );
    }

    #[test]
    fn each_changed_key_is_named_where_it_belongs() {
        let (before, next) = (
            tables(""),
            tables(
                "listen = \"127.0.0.1:1\"\nlog_format = \"json\"\nworker_threads = 3\n\
                 allowed_origins = [\"null\"]\n[tls]\ncertificate = \"c\"\nprivate_key = \"k\"\n\
                 [admin]\nlisten = \"unix:a\"\n\
                 [login]\nhash_workers = 1\nmax_queued_logins = 1\nbasic = \"off\"\n\
                 [limits]\nping_interval = \"off\"\n[echo]\nprefix = \"\"",
            ),
        );
        assert_eq!(
            changed_live(&before, &next),
            [
                "allowed_origins",
                "echo.prefix",
                "limits.ping_interval",
                "login.basic"
            ]
        );
        assert_eq!(
            changed_at_start(&before, &next),
            [
                "admin.listen",
                "listen",
                "log_format",
                "login.hash_workers",
                "login.max_queued_logins",
                "tls",
                "worker_threads"
            ]
        );
    }

    #[test]
    fn routes_are_told_apart_and_missed_when_they_are_gone() {
        let route = |path: &str| format!("[[route]]\npath = \"{path}\"\nservice = \"room\"\n");
        let two = tables(&(route("/a") + &route("/b")));
        let other = tables(&(route("/a") + &route("/c")));
        assert_eq!(changed_live(&two, &other), ["route 2.path"]);
        let one = tables(&route("/a"));
        assert!(changed_live(&two, &one).contains(&"route 2.path".to_owned()));
    }

    #[test]
    fn the_keys_that_hold_from_the_start_are_keys() {
        let all = tables("worker_threads = 1\n[login]\nhash_workers = 1");
        let keys = values(&all);
        for key in AT_START {
            assert!(keys.contains_key(key), "{key}");
        }
    }
}
