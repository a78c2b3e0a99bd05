//! What a configuration says, key by key, so that two of them can be compared.

use std::collections::{BTreeMap, BTreeSet};

use super::Config;

/// The keys that hold as they were when the server started, whatever the file says later.
const AT_START: [&str; 7] = [
    "listen",
    "tls",
    "admin.listen",
    "log_format",
    "worker_threads",
    "login.hash_workers",
    "login.max_waiting_logins",
];

/// The value of each key, written as `section.key`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Snapshot {
    /// Those that a reload changes.
    live: BTreeMap<String, String>,
    /// Those that only a start changes.
    at_start: BTreeMap<String, String>,
}

impl Snapshot {
    /// What a configuration says, but for the files of TLS. Whatever it prints is looked at, so no
    /// key can be forgotten here.
    pub(crate) fn of(config: &Config) -> Self {
        let printed = config.to_string();
        let (mut section, mut routes) = (String::new(), 0);
        let mut values = BTreeMap::new();
        for line in printed.lines() {
            if line == "[[route]]" {
                routes += 1;
                section = format!("route {routes}.");
            } else if let Some(name) = line.strip_prefix('[').and_then(|it| it.strip_suffix(']')) {
                section = format!("{name}.");
            }
            // A value that cannot be written in TOML is printed as a comment.
            let setting = match line.strip_prefix("# ") {
                Some(comment) => comment.split_once(": "),
                None => line.split_once(" = "),
            };
            if let Some((key, value)) = setting {
                values.insert(format!("{section}{key}"), value.to_owned());
            }
        }
        // What stands in the files of the certificate counts, and that is not known here; but
        // whether there are any.
        values.retain(|key, _| !key.starts_with("tls."));
        values.insert("tls".to_owned(), config.tls.is_some().to_string());
        let (at_start, live) = values
            .into_iter()
            .partition(|(key, _)| AT_START.contains(&key.as_str()));
        Self { live, at_start }
    }

    /// The keys that hold otherwise once `next` is loaded.
    pub(crate) fn changed_live(&self, next: &Self) -> Vec<String> {
        changed(&self.live, &next.live)
    }

    /// The keys that would hold otherwise had the server been started with `next`.
    pub(crate) fn changed_at_start(&self, next: &Self) -> Vec<String> {
        changed(&self.at_start, &next.at_start)
    }
}

fn changed(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) -> Vec<String> {
    let keys: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let changed = keys
        .into_iter()
        .filter(|key| before.get(*key) != after.get(*key));
    changed.cloned().collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{AT_START, Snapshot};
    use crate::config::Config;

    fn snapshot(source: &str) -> Snapshot {
        Snapshot::of(&Config::resolve(source, Path::new("config")).unwrap())
    }

    #[test]
    fn what_is_written_otherwise_and_means_the_same_is_no_change() {
        assert_eq!(
            snapshot(""),
            snapshot("[login]\ndeadline = \"30000ms\"\n[echo]\n")
        );
    }

    #[test]
    fn each_changed_key_is_named_where_it_belongs() {
        let (before, next) = (
            snapshot(""),
            snapshot(
                "listen = \"127.0.0.1:1\"\nlog_format = \"json\"\nworker_threads = 3\n\
                 allowed_origins = [\"null\"]\n[tls]\ncertificate = \"c\"\nprivate_key = \"k\"\n\
                 [admin]\nlisten = \"unix:a\"\n\
                 [login]\nhash_workers = 1\nmax_waiting_logins = 1\nbasic = \"off\"\n\
                 [limits]\nping_interval = \"off\"\n[echo]\nprefix = \"\"",
            ),
        );
        assert_eq!(
            before.changed_live(&next),
            [
                "allowed_origins",
                "echo.prefix",
                "limits.ping_interval",
                "login.basic"
            ]
        );
        assert_eq!(
            before.changed_at_start(&next),
            [
                "admin.listen",
                "listen",
                "log_format",
                "login.hash_workers",
                "login.max_waiting_logins",
                "tls",
                "worker_threads"
            ]
        );
    }

    #[test]
    fn routes_are_told_apart_and_missed_when_they_are_gone() {
        let route = |path: &str| format!("[[route]]\npath = \"{path}\"\nservice = \"room\"\n");
        let two = snapshot(&(route("/a") + &route("/b")));
        let other = snapshot(&(route("/a") + &route("/c")));
        assert_eq!(two.changed_live(&other), ["route 2.path"]);
        let one = snapshot(&route("/a"));
        assert!(two.changed_live(&one).contains(&"route 2.path".to_owned()));
    }

    #[test]
    fn the_keys_that_hold_from_the_start_are_keys() {
        assert_eq!(snapshot("").at_start.len(), AT_START.len());
    }
}
