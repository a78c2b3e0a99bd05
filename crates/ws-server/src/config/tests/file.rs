//! Files as they are read and printed, and the message of each mistake.

use std::{fs, path::Path};

use proto::escape::is_unsafe;

use crate::config::{
    Config, ConfigError, ConfigSource, files::MAX_FILE_BYTES, load_accounts, undefined_route_user,
};

const ADMIN: &str = "[[user]]\nname = \"admin\"\npassword = \"123456\"";

/// Reads a file in the directory `config`.
fn parse(source: &str) -> Config {
    Config::parse(source, Path::new("config")).unwrap()
}

/// Returns the message about a file that cannot be used.
fn error(source: &str) -> String {
    Config::parse(source, Path::new("config"))
        .unwrap_err()
        .to_string()
}

/// Reads a printed file.
fn again(printed: &str) -> Config {
    Config::parse(printed, Path::new("")).unwrap()
}

#[test]
fn printed_file_can_be_read_again() {
    let source = "listen = \"[::1]:0\"\ncredentials = \"a \\\"b\\\"\"\nworker_threads = 3\n\
                  allow_insecure = true\n\
                  page = false\nallowed_origins = [\"null\", \"HTTPS://Example.org\"]\nsubprotocols = [\"chat\"]\n\
                  [limits]\nping_interval = \"off\"\nidle_timeout = \"1h\"\nmax_connections = 7\n\
                  max_message_bytes = 2000\nmax_control_frames_per_second = \"off\"\n\
                  [tls]\ncertificate = \"a c\"\nprivate_key = \"/k\"\n\
                  [echo]\nprefix = \"\"";
    let printed = parse(source).to_string();
    assert_eq!(again(&printed), parse(source), "{printed}");
    let config = again(&printed);
    assert_eq!(config.limits.caps().unauthenticated, 7);
    assert!(!config.page && config.allow_insecure);
    assert_eq!(config.tls.certificate.unwrap(), Path::new("config/a c"));
    assert_eq!(config.tls.private_key.unwrap(), Path::new("/k"));
    assert!(
        printed.contains("allowed_origins = [\"null\", \"https://example.org\"]"),
        "{printed}"
    );
}

#[test]
fn printed_file_has_no_control_characters() {
    let unsafe_text = "a\u{9b}31m\u{85}\u{202e}\u{2066}";
    for prefix in [
        unsafe_text.to_owned(),
        format!("two\nlines {unsafe_text}"),
        format!("\\ and \" {unsafe_text}"),
    ] {
        let value = toml::Value::from(prefix.as_str());
        let tables = parse(&format!("[echo]\nprefix = {value}"));
        let printed = tables.to_string();
        assert!(
            !printed.contains(|c| c != '\n' && is_unsafe(c)),
            "{printed:?}"
        );
        assert!(printed.parse::<toml::Table>().is_ok(), "{printed:?}");
        if !prefix.contains('"') {
            assert_eq!(again(&printed), tables, "{printed:?}");
        }
    }
}

#[test]
fn empty_file_prints_all_defaults() {
    assert_eq!(
        parse("").to_string(),
        r#"listen = "127.0.0.1:5678"
credentials = "config/credentials.toml"
allow_insecure = false
allowed_origins = []
server_names = []
subprotocols = []
trusted_proxies = []
forwarded_header = "X-Forwarded-For"
page = true
log_level = "info"
log_format = "text"

[tls]

[admin]
listen = []

[login]
deadline = "30s"
max_attempts = 6
basic = "optional"
max_failures_per_address = 20
failure_decay = "3s"
max_queued_logins = 64
ticket_name = "ws-server"
ticket_ttl = "1h"
ticket_max_age = "12h"

[limits]
handshake_deadline = "10s"
ping_interval = "20s"
ping_timeout = "20s"
idle_timeout = "off"
write_deadline = "30s"
close_deadline = "5s"
drain_deadline = "10s"
return_per_second = 500
max_message_bytes = "1MiB"
max_buffered_bytes = "512MiB"
max_control_frames_per_second = 100
max_connections = 10000
max_unauthenticated = 1000
max_unauthenticated_per_address = 64
max_connections_per_address = "off"

[echo]
prefix = "your submit context: "
"#
    );
    assert_eq!(again(&parse("").to_string()), parse(""));
}

#[test]
fn printed_trusted_proxies_are_canonical() {
    let source = "trusted_proxies = [\"127.0.0.1\", \"2001:db8::/32\", \"::ffff:10.0.0.0/104\"]";
    let printed = parse(source).to_string();
    let canonical = "trusted_proxies = [\"127.0.0.1\", \"2001:db8::/32\", \"10.0.0.0/8\"]\n";
    assert!(printed.contains(canonical), "{printed}");
}

#[test]
fn defaults_are_those_of_an_empty_file() {
    let mut default = Config::default();
    default.limits.complete();
    assert_eq!(default, again(""));
}

#[test]
fn relative_paths_start_from_the_file() {
    assert_eq!(parse("").credentials, Path::new("config/credentials.toml"));
    let absolute = parse("credentials = \"/etc/users.toml\"");
    assert_eq!(absolute.credentials, Path::new("/etc/users.toml"));
}

#[test]
fn printed_routes_can_be_read_again() {
    let source = "[[route]]\npath = \"/\"\nservice = \"echo\"\nusers = [\"b\", \"a\"]\n\
                  [[route]]\npath = \"/room/*\"\nservice = \"room\"\npublic = true\n\
                  format = \"plain\"\npresence = true\nhistory = \"off\"\nmax_queued = 7\n\
                  max_queued_bytes = \"2KiB\"\nwhen_full = \"drop-oldest\"\n\
                  [[route]]\npath = \"/news\"\nservice = \"room\"\nhistory = 3\n\
                  history_bytes = \"1KiB\"\nallowed_origins = [\"null\"]\n\
                  subprotocols = [\"v1\"]\nmax_message_bytes = \"4KiB\"";
    let printed = parse(source).to_string();
    let (_, routes) = printed.split_once("[[route]]").unwrap();
    assert_eq!(
        routes,
        "\npath = \"/\"\nusers = [\"a\", \"b\"]\nservice = \"echo\"\n\
         prefix = \"your submit context: \"\n\n\
         [[route]]\npath = \"/room/*\"\npublic = true\nservice = \"room\"\n\
         format = \"plain\"\npresence = true\nhistory = \"off\"\nhistory_bytes = \"16KiB\"\n\
         max_queued = 7\nmax_queued_bytes = \"2KiB\"\nwhen_full = \"drop-oldest\"\n\n\
         [[route]]\npath = \"/news\"\nallowed_origins = [\"null\"]\nsubprotocols = [\"v1\"]\n\
         max_message_bytes = \"4KiB\"\nservice = \"room\"\nformat = \"json\"\n\
         presence = false\nhistory = 3\nhistory_bytes = \"1KiB\"\nmax_queued = 256\n\
         max_queued_bytes = \"1MiB\"\nwhen_full = \"evict\"\n"
    );
    assert_eq!(again(&printed), parse(source));
}

#[test]
fn printed_relay_can_be_read_again() {
    let source = "[[route]]\npath = \"/a/**\"\nservice = \"relay\"\nto = \"ws://127.0.0.1:9000\"\n\
                  [[route]]\npath = \"/b\"\nservice = \"relay\"\nto = \"wss://[::1]/b\"\n\
                  connect_deadline = \"1s\"\nidentity_header = \"remote-user\"\n\
                  identity_prefix = \"ws:\"\nforwarded = true\nforward = [\"cookie\"]\nca = \"ca.pem\"\n\
                  certificate = \"c.pem\"\nprivate_key = \"/k.pem\"\n\
                  headers = { x-b = \"2\", x-a = { file = \"token\" } }\n\
                  [[route]]\npath = \"/c\"\nservice = \"relay\"\nto = \"ws+unix:c.sock:/c\"";
    let printed = parse(source).to_string();
    let (_, routes) = printed.split_once("[[route]]").unwrap();
    assert_eq!(
        routes,
        "\npath = \"/a/**\"\nservice = \"relay\"\nto = \"ws://127.0.0.1:9000/\"\n\
         connect_deadline = \"5s\"\nidentity_header = \"X-Forwarded-User\"\nidentity_prefix = \"\"\n\
         forwarded = false\nforward = []\n\n[route.headers]\n\n\
         [[route]]\npath = \"/b\"\nservice = \"relay\"\nto = \"wss://[::1]/b\"\n\
         connect_deadline = \"1s\"\nidentity_header = \"Remote-User\"\nidentity_prefix = \"ws:\"\n\
         forwarded = true\nforward = [\"cookie\"]\nca = \"config/ca.pem\"\n\
         certificate = \"config/c.pem\"\nprivate_key = \"/k.pem\"\n\n\
         [route.headers]\nX-B = \"2\"\n\n[route.headers.X-A]\nfile = \"config/token\"\n\n\
         [[route]]\npath = \"/c\"\nservice = \"relay\"\nto = \"ws+unix:config/c.sock:/c\"\n\
         connect_deadline = \"5s\"\nidentity_header = \"X-Forwarded-User\"\nidentity_prefix = \"\"\n\
         forwarded = false\nforward = []\n\n[route.headers]\n"
    );
    assert_eq!(again(&printed), parse(source));
}

#[test]
fn printed_stream_can_be_read_again() {
    let source = "[[route]]\npath = \"/vnc\"\nservice = \"stream\"\nto = \"tcp://[::1]:5900\"\n\
                  [[route]]\npath = \"/a\"\nservice = \"stream\"\nto = \"unix:a.sock\"\n\
                  text = \"refuse\"\nhalf_close = \"empty-message\"\nproxy_protocol = \"v2\"\n\
                  connect_deadline = \"1s\"";
    let printed = parse(source).to_string();
    let (_, routes) = printed.split_once("[[route]]").unwrap();
    assert_eq!(
        routes,
        "\npath = \"/vnc\"\nservice = \"stream\"\nto = \"tcp://[::1]:5900\"\n\
         connect_deadline = \"5s\"\ntext = \"accept\"\nhalf_close = \"off\"\n\
         proxy_protocol = \"off\"\n\n\
         [[route]]\npath = \"/a\"\nservice = \"stream\"\nto = \"unix:config/a.sock\"\n\
         connect_deadline = \"1s\"\ntext = \"refuse\"\nhalf_close = \"empty-message\"\n\
         proxy_protocol = \"v2\"\n"
    );
    assert_eq!(again(&printed), parse(source));
}

#[test]
fn printed_program_can_be_read_again() {
    let source = "[[route]]\npath = \"/\"\nservice = \"program\"\n\
                  command = [\"/bin/sh\", \"-c\", \"cat\"]\n\
                  [[route]]\npath = \"/a\"\nservice = \"program\"\ncommand = [\"/bin/sh\"]\n\
                  mode = \"binary\"\nmultiline = \"refuse\"\npass_env = [\"HOME\"]\n\
                  forward = [\"cookie\"]\nmax_processes = 2\nmax_line_bytes = \"1KiB\"\n\
                  grace = \"100ms\"";
    let printed = parse(source).to_string();
    let (_, routes) = printed.split_once("[[route]]").unwrap();
    assert_eq!(
        routes,
        "\npath = \"/\"\nservice = \"program\"\ncommand = [\"/bin/sh\", \"-c\", \"cat\"]\n\
         mode = \"line\"\nmultiline = \"split\"\nstderr = \"log\"\npass_env = []\nforward = []\n\
         max_processes = 256\nmax_line_bytes = \"1MiB\"\ngrace = \"1s\"\n\
         max_open_files = \"off\"\nmax_memory_bytes = \"off\"\nmax_cpu_time = \"off\"\n\
         no_new_privileges = false\nend_with_server = false\n\n\
         [[route]]\npath = \"/a\"\nservice = \"program\"\ncommand = [\"/bin/sh\"]\n\
         mode = \"binary\"\nmultiline = \"refuse\"\nstderr = \"log\"\npass_env = [\"HOME\"]\n\
         forward = [\"cookie\"]\nmax_processes = 2\nmax_line_bytes = \"1KiB\"\n\
         grace = \"100ms\"\n\
         max_open_files = \"off\"\nmax_memory_bytes = \"off\"\nmax_cpu_time = \"off\"\n\
         no_new_privileges = false\nend_with_server = false\n"
    );
    assert_eq!(again(&printed), parse(source));
}

#[test]
fn directory_of_programs_can_be_read_again() {
    let directory = tempfile::tempdir().unwrap();
    let source = "[[route]]\npath = \"/bin/*\"\nservice = \"program\"\ndirectory = \".\"";
    let config = Config::parse(source, directory.path()).unwrap();
    let printed = config.to_string();
    let line = format!("directory = \"{}/.\"\n", directory.path().display());
    assert!(printed.contains(&line), "{printed}");
    assert_eq!(again(&printed), config);
}

#[test]
fn program_of_relative_path_starts_from_directory() {
    let source = "[[route]]\npath = \"/\"\nservice = \"program\"\ncommand = [\"./absent.sh\"]";
    let error = Config::parse(source, Path::new("config")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "line 4: `route.command`: config/./absent.sh does not exist: name an executable file"
    );
    let named = source.replace("./absent.sh", "sh");
    let printed = parse(&named).to_string();
    assert!(printed.contains("/sh\"]"), "{printed}");
}

#[test]
fn route_mistake_names_line_key_and_remedy() {
    let echo = "[[route]]\npath = \"/\"\nservice = \"echo\"\n";
    let room = "[[route]]\npath = \"/\"\nservice = \"room\"\n";
    let program = "[[route]]\npath = \"/\"\nservice = \"program\"\n";
    let stream = "[[route]]\npath = \"/\"\nservice = \"stream\"\n";
    let relay = "[[route]]\npath = \"/\"\nservice = \"relay\"\nto = \"ws://a\"\n";
    for (source, message) in [
        (
            // This executable does not call `run_helper`.
            format!("{program}command = [\"sh\"]\nmax_cpu_time = \"1s\""),
            "line 5: `route.max_cpu_time`: limits need a call of `ws_server::run_helper` at the \
             begin of `main`",
        ),
        (
            format!("{program}command = [\"sh\"]\nuid = 1"),
            "line 5: `route.uid`: write gid as well",
        ),
        (
            format!("{program}command = [\"sh\"]\ngid = 1"),
            "line 5: `route.gid`: write uid as well",
        ),
        (
            format!("{program}command = [\"sh\"]\nuid = 4294967295\ngid = 1"),
            "line 5: `route.uid`: write the number of a user or group, such as 65534",
        ),
        (
            program.to_owned(),
            "line 2: `route.path`: write `command`, or `directory` for one program per path",
        ),
        (
            format!("{program}command = [\"sh\"]\ndirectory = \"/usr/bin\""),
            "line 5: `route.directory`: write only one of command and directory",
        ),
        (
            format!("{program}directory = \"/usr/bin\""),
            "line 4: `route.directory`: the path must end in /* or /**, which names the program",
        ),
        (
            format!(
                "{}directory = \"/etc/passwd\"",
                program.replace("\"/\"", "\"/**\"")
            ),
            "line 4: `route.directory`: /etc/passwd is not a directory",
        ),
        (
            "[[route]]\nservice = \"echo\"".to_owned(),
            "line 1: the key `path` is missing",
        ),
        (
            "[[route]]\npath = \"room\"\nservice = \"room\"".to_owned(),
            "line 2: `route.path`: write a path such as \"/chat\", \"/room/*\" for all paths of one \
             more segment, or \"/app/**\" for any depth",
        ),
        (
            "[[route]]\npath = \"/\"\nservice = \"ecco\"".to_owned(),
            "line 3: `route.service`: write \"echo\", \"room\", \"relay\", \"stream\" or \"program\"",
        ),
        (
            format!("{echo}{room}"),
            "line 5: `route.path`: this route has a path in common with `/`; each path has one \
             route",
        ),
        (
            format!("{echo}users = []"),
            "line 4: `route.users`: name at least one user, or leave the key out",
        ),
        (
            format!("{echo}users = [\"a:b\"]"),
            "line 4: `route.users`: a name holds no `:`, which separates it from the password",
        ),
        (
            format!("{echo}users = [\"a\", \"b\", \"a\"]"),
            "line 4: `route.users`: `a` is named twice",
        ),
        (
            format!("allowed_origins = []\n{echo}allowed_origins = [\"example.org\"]"),
            "line 5: `route.allowed_origins`: an origin is written as scheme://host or \
             scheme://host:port, without a path",
        ),
        (
            format!("subprotocols = []\n{echo}subprotocols = [\"a b\"]"),
            "line 5: `route.subprotocols`: a subprotocol is a token of letters, digits and \
             !#$%&'*+-.^_`|~",
        ),
        (
            format!("{echo}public = true\nusers = [\"a\"]"),
            "line 5: `route.users`: write only one of users and public: a public route has no login",
        ),
        (
            format!("{echo}max_message_bytes = 1000"),
            "line 4: `route.max_message_bytes`: write at least \"1KiB\", which a login may need",
        ),
        (
            format!("{echo}histori = 3"),
            "line 4: `route.histori`: unknown key `histori`; did you mean `history`?",
        ),
        (
            format!("{echo}history = 3"),
            "line 4: `route.history`: this is a key of the service room",
        ),
        (
            format!("{room}prefix = \"\""),
            "line 4: `route.prefix`: this is a key of the service echo",
        ),
        (
            format!("{room}format = \"xml\""),
            "line 4: `route.format`: write \"json\" or \"plain\"",
        ),
        (
            format!("{room}when_full = \"wait\""),
            "line 4: `route.when_full`: write \"evict\" or \"drop-oldest\"",
        ),
        (
            format!("{stream}to = \"tcp://localhost\""),
            "line 4: `route.to`: write \"tcp://HOST:PORT\" or \"unix:PATH\"",
        ),
        (
            format!("{stream}to = 5900"),
            "line 4: `route.to`: write a text in quotes",
        ),
        (
            relay.replace("ws://a", "http://a"),
            "line 4: `route.to`: write \"ws://HOST:PORT/PATH\", \"wss://HOST:PORT/PATH\" or \
             \"ws+unix:SOCKET:/PATH\"",
        ),
        (
            format!("{relay}identity_header = \"X_User\""),
            "line 5: `route.identity_header`: write a name of letters, digits and -, such as \
             \"X-Forwarded-User\"",
        ),
        (
            format!("{relay}identity_header = \"Host\""),
            "line 5: `route.identity_header`: this field has another meaning; write one such as \
             \"X-Forwarded-User\"",
        ),
        (
            format!("{relay}identity_prefix = \"a\\nb\""),
            "line 5: `route.identity_prefix`: a field has visible characters of ASCII only",
        ),
        (
            format!("{relay}forward = [\"authorization\"]"),
            "line 5: `route.forward`: write \"cookie\"",
        ),
        (
            format!("{relay}headers = {{ Upgrade = \"h2c\" }}"),
            "line 5: `route.headers`: the relay itself writes the field Upgrade; leave it out",
        ),
        (
            format!("{relay}headers = {{ X-A = 1 }}"),
            "line 5: `route.headers`: write a text in quotes, or { file = \"PATH\" }",
        ),
        (
            format!("{relay}headers = {{ x_forwarded-user = \"admin\" }}"),
            "line 5: `route.headers`: one of them is the field with the name of the user",
        ),
        (
            format!("{relay}ca = \"a.pem\""),
            "line 5: `route.ca`: only a wss:// upstream has a certificate",
        ),
        (
            format!("{relay}certificate = \"a.pem\"").replace("ws:", "wss:"),
            "line 5: `route.certificate`: write private_key as well",
        ),
        (
            format!("{relay}proxy_protocol = \"v2\""),
            "line 5: `route.proxy_protocol`: this is a key of the service stream",
        ),
        (stream.to_owned(), "line 1: the key `to` is missing"),
        (
            format!("{stream}to = \"tcp://localhost:1\"\nproxy_protocol = \"v1\""),
            "line 5: `route.proxy_protocol`: write \"off\" or \"v2\"",
        ),
        (
            format!("{stream}to = \"tcp://localhost:1\"\nhistory = 3"),
            "line 5: `route.history`: this is a key of the service room",
        ),
        (
            format!("{program}command = []"),
            "line 4: `route.command`: write the program and its arguments, such as \
             [\"./chat.sh\", \"argument\"]",
        ),
        (
            format!("{program}command = \"cat\""),
            "line 4: `route.command`: write the program and its arguments, such as \
             [\"./chat.sh\", \"argument\"]",
        ),
        (
            format!("{program}command = [\"no-such-program\"]"),
            "line 4: `route.command`: the program is not in PATH: write the path of its file",
        ),
        (
            format!("{program}command = [\"/etc/passwd\"]"),
            "line 4: `route.command`: /etc/passwd cannot be executed: name an executable file",
        ),
        (
            format!("{program}command = [\"sh\"]\nmode = \"binary\"\nstderr = \"message\""),
            "line 6: `route.stderr`: \"message\" is for the mode \"line\": write \"log\"",
        ),
        (
            format!("{program}command = [\"sh\"]\npass_env = [\"A=1\"]"),
            "line 5: `route.pass_env`: write names of environment variables, without values",
        ),
        (
            format!("{room}max_queued = 0"),
            "line 4: `route.max_queued`: write a whole number above zero",
        ),
    ] {
        assert_eq!(error(&source), message);
    }
}

#[test]
fn route_user_without_an_account_is_reported() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let route = "[[route]]\npath = \"/\"\nservice = \"echo\"\nusers = [\"admin\", \"bob\"]";
    fs::write(path("server.toml"), route).unwrap();
    fs::write(path("credentials.toml"), ADMIN).unwrap();
    let source = ConfigSource::file(&path("server.toml"));
    let named = || {
        let loaded = source.load(&[]).1.unwrap();
        undefined_route_user(&loaded.config, &loaded.accounts).map(|it| it.to_string())
    };
    let expected = format!(
        "the route `/` names the user `bob`, who has no account in {}",
        path("credentials.toml").display()
    );
    assert_eq!(named(), Some(expected));
    fs::write(path("server.toml"), route.replace(", \"bob\"", "")).unwrap();
    assert_eq!(named(), None);
}

/// Sources with a mistake, and the messages about them.
const MISTAKES: &[(&str, &str)] = &[
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
        "[login]\nticket_secret_file = \"t\"",
        "line 2: `login.ticket_secret_file`: tickets of this secret outlive a restart, and revocations \
         would not: write revocations_file too",
    ),
    (
        "[login]\nticket_name = \"\"",
        "line 2: `login.ticket_name`: write 1 to 255 bytes without control characters",
    ),
    (
        "[login]\nticket_ttl = \"25h\"",
        "line 2: `login.ticket_ttl`: write \"1s\" to \"24h\"",
    ),
    (
        "[login]\nticket_ttl = \"999ms\"",
        "line 2: `login.ticket_ttl`: write \"1s\" to \"24h\"",
    ),
    (
        "[login]\nticket_max_age = \"1ms\"",
        "line 2: `login.ticket_max_age`: write at least \"1s\"",
    ),
    (
        "[[route]]\npath = \"/%74icket\"\nservice = \"echo\"",
        "line 2: `route.path`: this path is reserved for the tickets of logins; write another",
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
        "[login]\nhash_workers = 1025",
        "line 2: `login.hash_workers`: write at most 1024",
    ),
    (
        "[login]\nmax_queued_logins = 10001",
        "line 2: `login.max_queued_logins`: write at most 10000",
    ),
    (
        "[login]\nbasic = \"on\"",
        "line 2: `login.basic`: write \"optional\", \"required\" or \"off\"",
    ),
    (
        "log_level = { info = {} }",
        "line 1: `log_level`: write \"off\", \"error\", \"warn\", \"info\", \"debug\" or \"trace\"",
    ),
    (
        "tls = 1",
        "line 1: `tls`: write a table: its name in brackets on a line, and its keys below",
    ),
    (
        "route = [1]",
        "line 1: `route`: write [[route]] and its keys below",
    ),
    (
        "\n[route]\npath = \"/\"",
        "line 2: write [[route]] and its keys below",
    ),
    // Row: words of the parser.
    (
        "listen = 5678",
        "line 1: `listen`: write an address and a port, such as \"127.0.0.1:5678\" or \
             \"[::1]:5678\"",
    ),
    (
        "[limits]\nidle_timeout = false",
        "line 2: `limits.idle_timeout`: write a time span such as \"10s\" or \"1m 30s\", or \
             \"off\"",
    ),
    (
        "[login]\nmax_attempts = true",
        "line 2: `login.max_attempts`: write a whole number above zero",
    ),
    (
        "[login]\nbasic = true",
        "line 2: `login.basic`: write \"optional\", \"required\" or \"off\"",
    ),
    (
        "log_format = 1",
        "line 1: `log_format`: write \"text\" or \"json\"",
    ),
    (
        "forwarded_header = 1",
        "line 1: `forwarded_header`: write \"X-Forwarded-For\" or \"Forwarded\"",
    ),
    (
        "credentials = 1",
        "line 1: `credentials`: write a text in quotes",
    ),
    ("page = \"yes\"", "line 1: `page`: write true or false"),
    (
        "subprotocols = \"chat\"",
        "line 1: `subprotocols`: write a list in brackets, such as [\"a\", \"b\"]",
    ),
    (
        "trusted_proxies = \"::1\"",
        "line 1: `trusted_proxies`: write a list in brackets, such as [\"a\", \"b\"]",
    ),
    (
        "[admin]\nlisten = 1",
        "line 2: `admin.listen`: write \"unix:PATH\", or a loopback address and a port, such as \
             \"127.0.0.1:9180\"",
    ),
    (
        "log_level = \"verbose\"",
        "line 1: `log_level`: write \"off\", \"error\", \"warn\", \"info\", \"debug\" or \
             \"trace\"",
    ),
    (
        "trusted_proxies = [\"localhost\"]",
        "line 1: `trusted_proxies`: write an address or a network, such as \"::1\", \
             \"10.0.0.0/8\" or \"2001:db8::/32\"",
    ),
    (
        "forwarded_header = \"Via\"",
        "line 1: `forwarded_header`: write \"X-Forwarded-For\" or \"Forwarded\"",
    ),
    (
        "allowed_origins = [\"example.org\"]",
        "line 1: `allowed_origins`: an origin is written as scheme://host or \
             scheme://host:port, without a path",
    ),
    (
        "subprotocols = [\"a b\"]",
        "line 1: `subprotocols`: a subprotocol is a token of letters, digits and \
             !#$%&'*+-.^_`|~",
    ),
    (
        "[tls]\ncertificate = \"server.pem\"",
        "line 2: `tls.certificate`: write private_key as well: there is no TLS without both",
    ),
    (
        "[tls]\n\nprivate_key = \"server.key\"",
        "line 3: `tls.private_key`: write certificate as well: there is no TLS without both",
    ),
    (
        "[tls]\ncertificate = \"server.pem\"\nkey = \"server.key\"",
        "line 3: `tls.key`: unknown key `key`; known here: certificate, private_key",
    ),
];

#[test]
fn mistake_names_line_key_and_remedy() {
    for (source, message) in MISTAKES {
        assert_eq!(error(source), *message);
    }
    let long = format!("[echo]\nprefix = \"{}\"", "x".repeat(70_000));
    let message = "line 2: `echo.prefix`: write at most 65536 bytes";
    assert_eq!(error(&long), message);
}

#[test]
fn device_or_long_file_is_not_read() {
    fn problem<T: std::fmt::Debug>(loaded: Result<T, ConfigError>) -> String {
        format!("{:#}", anyhow::Error::from(loaded.unwrap_err()))
    }

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
