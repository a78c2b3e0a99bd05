//! The commands of the pages, run as they are shown, and their output compared.
//!
//! The commands of a page run in order, in a directory with a running server, with both programs in
//! `PATH`. A command without output on the page must succeed; its output is not compared.

use std::{fmt::Write as _, fs, net::SocketAddr, os::unix::fs::symlink, path::Path};

use integration_tests::{
    AdminClient, CONFIGURATION, LoginMethod, ProcessOutput, ServerProcess, assert_echo,
    authorization, client_binary, handshake_with, peer_program, run, server_binary,
};
use raw_peer::{RawPeer, frame};
use tempfile::TempDir;
use tokio::{net::TcpStream, process::Command};

use super::{
    output::{without_chance, without_key_and_date},
    pages::Page,
};

/// The address of the server in the pages. A test uses a free port instead.
const ADDRESS: &str = "127.0.0.1:5678";

/// The loopback address of the admin interface in the pages.
const ADMIN_ADDRESS: &str = "127.0.0.1:9180";

const ACCOUNTS: &str = "[[user]]\nname = \"admin\"\npassword = \"123456\"\n\
                        [[user]]\nname = \"jane\"\npassword = \"secret\"\n";

const SERVER: &str = r#"
[admin]
listen = ["unix:admin.sock", "127.0.0.1:0"]

[[route]]
path = "/"
service = "echo"

[[route]]
path = "/room/*"
service = "room"

[[route]]
path = "/status"
service = "room"
public = true

[[route]]
path = "/greet"
service = "program"
command = ["sed", "-u", "s/^/hello, /"]

[[route]]
path = "/chat"
service = "relay"
"#;

/// The server behind the relay.
const UPSTREAM: &str = "[[route]]\npath = \"/\"\nservice = \"echo\"\npublic = true\n";

/// Commands that start the server of the page.
const STARTS: [&str; 2] = [
    "cargo run -p ws-server",
    "ws-server --config config/server.toml",
];

/// Commands that other tests run.
const RUN_ELSEWHERE: [&str; 1] = [
    // At a terminal: `dialogue_reads_as_shown`.
    "cargo run -p ws-client",
];

/// A command of a page, and the output below it.
pub(super) struct Example {
    pub(super) command: String,
    pub(super) output: String,
}

/// Returns the examples of a page, in order.
pub(super) fn examples(page: &Page) -> Vec<Example> {
    let mut examples: Vec<Example> = Vec::new();
    for block in page.blocks("console") {
        let mut is_first = true;
        for line in block.lines() {
            match line.strip_prefix("$ ") {
                Some(command) => examples.push(Example {
                    command: command.to_owned(),
                    output: String::new(),
                }),
                None if is_first => panic!("{}: a block begins with {line}", page.path),
                None => {
                    let example = examples.last_mut().unwrap();
                    writeln!(example.output, "{line}").unwrap();
                }
            }
            is_first = false;
        }
    }
    examples
}

/// Returns true for a command that only cargo runs, such as its tests.
fn is_of_cargo(command: &str) -> bool {
    command.starts_with("cargo ") && !command.contains(" ws-")
        || command.starts_with("cargo install ")
        || command.starts_with("cargo test ")
}

/// A directory with a running server, for the commands of one page.
struct Workplace {
    directory: TempDir,
    address: SocketAddr,
    admin_address: SocketAddr,
    _server: ServerProcess,
    _upstream: ServerProcess,
    /// The sessions that the examples of `ctl` show.
    _sessions: [RawPeer<TcpStream>; 2],
}

impl Workplace {
    async fn new(programs: &[(&str, String)]) -> Self {
        let directory = TempDir::new().unwrap();
        let at = |name: &str| directory.path().join(name);
        for name in ["bin", "config"] {
            fs::create_dir(at(name)).unwrap();
        }
        for (name, program) in programs {
            symlink(program, at("bin").join(name)).unwrap();
        }
        let upstream = ServerProcess::start_with(UPSTREAM).await;
        let relay = format!("{SERVER}to = \"{}\"\n", upstream.url());
        fs::write(at("config/server.toml"), relay).unwrap();
        fs::write(at("config/credentials.toml"), ACCOUNTS).unwrap();
        fs::write(at("password"), "123456\n").unwrap();
        let command = ServerProcess::command(&at("config").join(CONFIGURATION));
        let mut server = ServerProcess::spawn(command).await;
        let admin_address = AdminClient::for_server(&mut server).await.address();
        let client = format!("url = \"{}\"\n", server.url());
        fs::write(at("config/client.toml"), client).unwrap();

        let mut admin = server.connect().await;
        let request = handshake_with(&[&authorization("admin:123456")]);
        admin
            .send(request.replacen("GET / ", "GET /room/ops ", 1))
            .await;
        admin.head().await;
        admin.send(frame::text("the build is done")).await;
        admin.text().await;
        let mut jane = LoginMethod::Basic.log_in(&server, "jane:secret").await;
        assert_echo(&mut jane, "hello").await;
        Self {
            directory,
            address: server.address,
            admin_address,
            _server: server,
            _upstream: upstream,
            _sessions: [admin, jane],
        }
    }

    async fn run(&self, command: &str) -> ProcessOutput {
        let command = command
            .replace("cargo run -q -p ws-client", "ws-client")
            .replace(ADDRESS, &self.address.to_string())
            .replace(ADMIN_ADDRESS, &self.admin_address.to_string());
        let path = self.directory.path().join("bin");
        let path = format!("{}:{}", path.display(), std::env::var("PATH").unwrap());
        let mut shell = Command::new("sh");
        // One stream, as at a terminal.
        shell.args(["-c", &format!("exec 2>&1; {command}")]);
        shell.env("PATH", path).current_dir(&self.directory);
        shell.env_remove("RUST_LOG");
        run(shell, "").await
    }

    /// Returns the fault of an example, if it has one.
    async fn fault(&self, example: &Example) -> Option<String> {
        let finished = self.run(&example.command).await;
        let printed = finished
            .stdout()
            .replace(&self.address.to_string(), ADDRESS)
            .replace(&self.admin_address.to_string(), ADMIN_ADDRESS);
        if finished.code != Some(0) {
            return Some(format!("exit code {:?}:\n{printed}", finished.code));
        }
        let comparable = if example.command.contains("handshake") {
            without_key_and_date
        } else {
            without_chance
        };
        let is_as_shown = comparable(&printed) == comparable(&example.output);
        let fault = || format!("shown:\n{}\nprinted:\n{printed}", example.output);
        (!example.output.is_empty() && !is_as_shown).then(fault)
    }
}

/// Runs the examples of all pages that `is_wanted` accepts, and asserts that they print what is shown.
async fn run_all(programs: &[(&str, String)], is_wanted: impl Fn(&str) -> bool) -> usize {
    let mut faults = Vec::new();
    let mut count = 0;
    for page in Page::all() {
        let examples = examples(&page);
        let wanted: Vec<_> = examples
            .iter()
            .filter(|example| !is_of_cargo(&example.command))
            .filter(|example| !RUN_ELSEWHERE.contains(&example.command.as_str()))
            .filter(|example| is_wanted(&example.command))
            .collect();
        if wanted.is_empty() {
            continue;
        }
        let workplace = Workplace::new(programs).await;
        for example in wanted {
            count += 1;
            let fault = if STARTS.contains(&example.command.as_str()) {
                let expected = format!("listening on ws://{ADDRESS}\n");
                (example.output != expected).then(|| example.output.clone())
            } else {
                workplace.fault(example).await
            };
            if let Some(fault) = fault {
                faults.push(format!("{}: {}\n{fault}", page.path, example.command));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n\n"));
    count
}

fn both_programs() -> [(&'static str, String); 2] {
    [
        ("ws-server", server_binary()),
        ("ws-client", client_binary()),
    ]
}

#[tokio::test]
async fn examples_print_what_is_shown() {
    let count = run_all(&both_programs(), |command| !command.contains("curl ")).await;
    assert!(count > 15, "{count}");
}

#[tokio::test]
#[ignore = "needs the peers of .ci/peers"]
async fn examples_with_curl_print_what_is_shown() {
    let curl = peer_program("curl/curl");
    let programs = [("curl", curl.to_str().unwrap().to_owned())];
    assert!(Path::new(&programs[0].1).exists());
    let count = run_all(&programs, |command| command.contains("curl ")).await;
    assert!(count > 0);
}
