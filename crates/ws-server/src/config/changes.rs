//! The keys whose values differ between two configurations.

use std::collections::{BTreeMap, BTreeSet};

use toml::{Table, Value};

/// The keys that are read only at the start. A key of this kind is listed here beside its field.
const AT_START: [&str; 9] = [
    "listen",
    "tls",
    "admin.listen",
    "log_format",
    "worker_threads",
    "login.hash_workers",
    "login.max_queued_logins",
    "login.revocations_file",
    "login.ticket_secret_file",
];

/// Returns the changed keys that take effect at once.
pub(crate) fn changed_live(before: &Table, next: &Table) -> Vec<String> {
    changed(before, next, false)
}

/// Returns the changed keys that take effect at the next start.
pub(crate) fn changed_at_start(started: &Table, next: &Table) -> Vec<String> {
    changed(started, next, true)
}

fn changed(before: &Table, next: &Table, at_start: bool) -> Vec<String> {
    let (before, next) = (values(before), values(next));
    let mut keys: BTreeSet<_> = before.keys().chain(next.keys()).collect();
    keys.retain(|key| before.get(*key) != next.get(*key));
    keys.retain(|key| AT_START.contains(&key.as_str()) == at_start);
    keys.into_iter().cloned().collect()
}

/// Returns the value of each key, which is named `table.key` or `route N.key`.
///
/// `tls` is reduced to whether it is set: its files may change without their names.
pub(super) fn values(config: &Table) -> BTreeMap<String, Value> {
    let below = |table: &str, keys: &Table| -> Vec<_> {
        let keys = keys.iter();
        keys.map(|(key, value)| (format!("{table}.{key}"), value.clone()))
            .collect()
    };
    let values = config.iter().flat_map(|(key, value)| match value {
        Value::Table(files) if key == "tls" => vec![(key.clone(), (!files.is_empty()).into())],
        Value::Table(keys) => below(key, keys),
        Value::Array(routes) if key == "route" => {
            let routes = (1..).zip(routes.iter().filter_map(Value::as_table));
            routes
                .flat_map(|(number, keys)| below(&format!("route {number}"), keys))
                .collect()
        }
        value => vec![(key.clone(), value.clone())],
    });
    values.collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use toml::Table;

    use super::{AT_START, changed_at_start, changed_live, values};
    use crate::config::Config;

    fn tables(source: &str) -> Table {
        let config = Config::parse(source, Path::new("config")).unwrap();
        config.to_toml()
    }

    #[test]
    fn equal_values_written_differently_are_no_change() {
        assert_eq!(
            tables(""),
            tables("[login]\ndeadline = \"30000ms\"\n[echo]\n")
        );
    }

    #[test]
    fn changed_keys_are_split_by_when_they_take_effect() {
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
    fn changed_and_removed_routes_are_listed() {
        let route = |path: &str| format!("[[route]]\npath = \"{path}\"\nservice = \"room\"\n");
        let two = tables(&(route("/a") + &route("/b")));
        let other = tables(&(route("/a") + &route("/c")));
        assert_eq!(changed_live(&two, &other), ["route 2.path"]);
        let one = tables(&route("/a"));
        assert!(changed_live(&two, &one).contains(&"route 2.path".to_owned()));
    }

    #[test]
    fn keys_read_at_the_start_exist() {
        let all = tables(
            "worker_threads = 1\n[login]\nhash_workers = 1\nrevocations_file = \"r\"\n\
             ticket_secret_file = \"t\"",
        );
        let keys = values(&all);
        for key in AT_START {
            assert!(keys.contains_key(key), "{key}");
        }
    }
}
