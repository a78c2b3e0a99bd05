//! The shipped files, and every way to get one wrong.

use std::{fs, path::Path};

use super::{Config, ConfigError, Limits, MAX_FILE_BYTES, load_accounts};

fn resolve(source: &str) -> Result<Config, String> {
    Config::resolve(source, Path::new("config")).map_err(|error| error.to_string())
}

fn shipped(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../config")
        .join(name)
}

#[test]
fn the_shipped_file_says_the_defaults_and_nothing_else() {
    let source = fs::read_to_string(shipped("server.toml")).unwrap();
    let shipped = Config::resolve(&source, Path::new("config")).unwrap();
    assert_eq!(shipped.to_string(), resolve("").unwrap().to_string());
}

#[test]
fn the_shipped_file_has_each_key() {
    let source = fs::read_to_string(shipped("server.toml")).unwrap();
    let printed = resolve("worker_threads = 2").unwrap().to_string();
    let keys = printed
        .lines()
        .filter_map(|line| line.split_once(" = "))
        .map(|(key, _)| key);
    let missing: Vec<_> = keys
        .filter(|key| !source.contains(&format!("{key} = ")))
        .collect();
    assert_eq!(missing, Vec::<&str>::new());
}

#[test]
fn the_shipped_account_is_the_tutorials() {
    let accounts = load_accounts(&shipped("credentials.toml")).unwrap();
    assert_eq!(
        accounts
            .users()
            .map(ToString::to_string)
            .collect::<Vec<_>>(),
        ["admin"]
    );
}

#[test]
fn what_is_printed_can_be_read_again() {
    let source = "listen = \"[::1]:0\"\ncredentials = \"a \\\"b\\\"\"\nworker_threads = 3\n\
                  allowed_origins = [\"null\", \"HTTPS://Example.org\"]\nsubprotocols = [\"chat\"]\n\
                  [limits]\nping_interval = \"off\"\nidle_timeout = \"1h\"\nmax_connections = 7\n\
                  max_message_bytes = 2000\nmax_control_frames_per_second = \"off\"\n\
                  [echo]\nprefix = \"\"";
    let printed = resolve(source).unwrap().to_string();
    let again = Config::resolve(&printed, Path::new("")).unwrap();
    assert_eq!(again.to_string(), printed);
    assert_eq!(again.limits.caps.unauthenticated, 7);
    assert!(
        printed.contains("allowed_origins = [\"null\", \"https://example.org\"]"),
        "{printed}"
    );
}

#[test]
fn relative_paths_start_from_the_file() {
    assert_eq!(
        resolve("").unwrap().credentials,
        Path::new("config/credentials.toml")
    );
    let absolute = resolve("credentials = \"/etc/users.toml\"").unwrap();
    assert_eq!(absolute.credentials, Path::new("/etc/users.toml"));
}

#[test]
fn the_write_buffer_has_room_for_the_longest_answer() {
    let config = resolve("[limits]\nmax_message_bytes = 1024\n[echo]\nprefix = \"12345\"").unwrap();
    assert_eq!(config.limits.max_reply_bytes, 1029);
    assert_eq!(Limits::default().max_reply_bytes, 1 << 20);
}

#[test]
fn each_mistake_has_a_message_that_says_what_to_write() {
    let long_prefix = format!("[echo]\nprefix = \"{}\"", "x".repeat(70_000));
    for (source, message) in [
        (
            "listen = \"localhost\"",
            "line 1: `listen`: write an address and a port, such as \"127.0.0.1:5678\" or \
             \"[::1]:5678\"",
        ),
        (
            "lisen = \"x\"",
            "line 1: `lisen`: unknown key `lisen`; did you mean `listen`?",
        ),
        (
            "[limits]\nmax_conections = 5",
            "line 2: `limits.max_conections`: unknown key `max_conections`; did you mean \
             `max_connections`?",
        ),
        (
            "[limits]\nmax_connections = 0",
            "line 2: `limits.max_connections`: write a whole number above zero",
        ),
        (
            "[limits]\nmax_connections = 10\nmax_unauthenticated = 11",
            "line 3: `limits.max_unauthenticated`: write at most 10, which is max_connections",
        ),
        (
            "[limits]\nmax_message_bytes = \"2GiB\"",
            "line 2: `limits.max_message_bytes`: write at most \"1GiB\": a connection may hold \
             several messages",
        ),
        (
            "[limits]\nmax_message_bytes = 1000",
            "line 2: `limits.max_message_bytes`: write at least \"1KiB\", which a login may need",
        ),
        (
            "worker_threads = 100000",
            "line 1: `worker_threads`: write at most 1024",
        ),
        (
            "[limits]\nhandshake_deadline = \"18446744073709551615s\"",
            "line 2: `limits.handshake_deadline`: write at most one year",
        ),
        (
            "[limits]\nwrite_deadline = \"off\"",
            "line 2: `limits.write_deadline`: write a time span such as \"10s\" or \"1m 30s\"",
        ),
        (
            "[login]\ndeadline = \"0s\"",
            "line 2: `login.deadline`: a time span is never zero",
        ),
        (
            "allowed_origins = [\"example.org\"]",
            "line 1: `allowed_origins`: an origin is written as scheme://host or \
             scheme://host:port, with nothing behind it",
        ),
        (
            "subprotocols = [\"a b\"]",
            "line 1: `subprotocols`: a subprotocol is a token of letters, digits and \
             !#$%&'*+-.^_`|~",
        ),
        (
            long_prefix.as_str(),
            "line 2: `echo.prefix`: write at most 65536 bytes",
        ),
    ] {
        assert_eq!(resolve(source).unwrap_err(), message);
    }
}

#[test]
fn what_is_no_file_or_too_long_is_not_read() {
    fn problem<T: std::fmt::Debug>(loaded: Result<T, ConfigError>) -> String {
        format!("{:#}", anyhow::Error::from(loaded.unwrap_err()))
    }

    // It could be read to its end, as a pipe may never be.
    let device = Path::new("/dev/null");
    let message = "cannot read /dev/null: it is not a file";
    assert_eq!(problem(Config::load(device)), message);
    assert_eq!(problem(load_accounts(device)), message);

    let long = tempfile::NamedTempFile::new().unwrap();
    long.as_file().set_len(MAX_FILE_BYTES + 1).unwrap();
    let message = format!(
        "cannot read {}: it has more than 64 MiB",
        long.path().display()
    );
    assert_eq!(problem(Config::load(long.path())), message);
}
