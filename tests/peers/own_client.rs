//! The page `crates/ws-server/docs/own-client.md`: its programs, run as they are printed there, and its
//! tables, compared with the code.

use std::{fs, path::PathBuf, process::Stdio};

use integration_tests::{
    CONFIGURATION, ServerFiles, ServerProcess, TEST_TIMEOUT, accounts, echoed, peer_program, root,
    server_binary, wait_for_exit,
};
use proto::close::{CloseCode, CloseReason, Retry};
use rustix::process::Signal;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStderr, ChildStdout, Command},
    time::timeout,
};

/// The accounts of the server that a program talks with.
const ACCOUNTS: [(&str, &str); 2] = [("admin", "123456"), ("jane", "secret")];

/// The languages of the programs, as their blocks name them.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Language {
    Python,
    Node,
    Rust,
}

/// A running program. It is killed when this is dropped.
#[derive(Debug)]
struct Program {
    child: Child,
    messages: Lines<BufReader<ChildStdout>>,
    notes: Lines<BufReader<ChildStderr>>,
    _directory: TempDir,
}

impl Language {
    /// Returns the command that runs the program of the page.
    fn command(self, directory: &TempDir) -> Command {
        let write = |name: &str, language: &str| -> PathBuf {
            let file = directory.path().join(name);
            fs::write(&file, block(language)).unwrap();
            file
        };
        match self {
            Self::Python => {
                let mut command = Command::new(peer_program("python-newest/bin/python"));
                command.arg(write("own_client.py", "python"));
                command
            }
            Self::Node => {
                let mut command = Command::new(peer_program("node/node"));
                command
                    .arg(write("own_client.js", "js"))
                    .env("NODE_PATH", peer_program("node/node_modules"));
                command
            }
            Self::Rust => Command::new(env!("CARGO_BIN_EXE_own-client")),
        }
    }
}

impl Program {
    /// Starts a program with this line as its input.
    async fn start(language: Language, url: &str, login: &str) -> Self {
        let directory = TempDir::new().unwrap();
        let mut child = language
            .command(&directory)
            .arg(url)
            // The server is on this machine, so no proxy is used.
            .env("no_proxy", "*")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin
            .write_all(format!("{login}\n").as_bytes())
            .await
            .unwrap();
        drop(stdin);
        let messages = BufReader::new(child.stdout.take().unwrap()).lines();
        let notes = BufReader::new(child.stderr.take().unwrap()).lines();
        Self {
            child,
            messages,
            notes,
            _directory: directory,
        }
    }

    /// Returns the next message that it prints.
    async fn message(&mut self) -> String {
        match next(&mut self.messages).await {
            Some(message) => message,
            None => panic!("no message: {:?}", next(&mut self.notes).await),
        }
    }

    /// Returns the next reason for another attempt, and the pause before it in seconds.
    async fn retry(&mut self) -> (String, f64) {
        let note = next(&mut self.notes).await.unwrap();
        let (why, pause) = note.split_once("; next attempt in ").expect(&note);
        let pause = pause.strip_suffix(" s").unwrap().parse().unwrap();
        (why.to_owned(), pause)
    }

    /// Waits for its end, and returns its last note.
    async fn stopped(mut self) -> String {
        let note = next(&mut self.notes).await.unwrap();
        assert_eq!(next(&mut self.notes).await, None);
        assert_eq!(next(&mut self.messages).await, None);
        assert_eq!(wait_for_exit(&mut self.child).await.code(), Some(1));
        note
    }
}

async fn next(lines: &mut Lines<BufReader<impl AsyncRead + Unpin>>) -> Option<String> {
    let line = timeout(TEST_TIMEOUT, lines.next_line()).await;
    line.expect("a line comes in time").unwrap()
}

fn page() -> String {
    fs::read_to_string(root().join("crates/ws-server/docs/own-client.md")).unwrap()
}

/// Returns the only block of the page in a language.
fn block(language: &str) -> String {
    let page = page();
    let start = format!("\n```{language}\n");
    let mut blocks = page.split(&start).skip(1);
    let block = blocks.next().expect(language);
    assert_eq!(blocks.next(), None, "{language}");
    block.split_once("\n```\n").unwrap().0.to_owned() + "\n"
}

/// The whole life of a client: it talks, returns to a restarted server, and stops after a revocation.
pub(crate) async fn follows_the_close_codes(language: Language) {
    let files = ServerFiles::new("", &accounts(&ACCOUNTS));
    let server = files.serve().await;
    let address = server.address;
    let mut program = Program::start(language, &server.url(), "admin:123456").await;
    assert_eq!(program.message().await, echoed("hello"));

    server.signal(Signal::TERM);
    server.finish().await;
    let (why, pause) = program.retry().await;
    assert_eq!(why, "closed: 1001 server is shutting down, back in 2 s");
    assert!((1.0..=2.0).contains(&pause), "{pause}");
    let mut command = Command::new(server_binary());
    command
        .arg("--config")
        .arg(files.path(CONFIGURATION))
        .args(["--listen", &address.to_string()]);
    let _server = ServerProcess::spawn(command).await;
    assert_eq!(program.message().await, echoed("hello"));

    files.replace(integration_tests::ACCOUNTS, &accounts(&ACCOUNTS[1..]));
    assert_eq!(
        program.stopped().await,
        "closed: 3000 login revoked: the user was removed"
    );
}

pub(crate) async fn stops_at_a_refused_login(language: Language) {
    let server = ServerProcess::start().await;
    let program = Program::start(language, &server.url(), "admin:1").await;
    let sorry = "sorry, the username or password is wrong, please submit again";
    assert_eq!(program.stopped().await, format!("login refused: {sorry}"));
}

pub(crate) async fn stops_at_a_refused_handshake(language: Language) {
    let server = ServerProcess::start().await;
    let url = format!("{}/nowhere", server.url());
    let program = Program::start(language, &url, "admin:123456").await;
    assert_eq!(
        program.stopped().await,
        "refused: 404 there is nothing at this path"
    );
}

pub(crate) async fn waits_longer_than_a_full_server_says(language: Language) {
    let server = ServerProcess::start_with("[limits]\nmax_connections = 1").await;
    let _connection = server.connect().await;
    let mut program = Program::start(language, &server.url(), "admin:123456").await;
    let (why, pause) = program.retry().await;
    assert_eq!(why, "refused: 503 the server is full, try again later");
    // The server says 1 to 10 s, and the back-off adds a random part.
    assert!((2.0..=12.0).contains(&pause), "{pause}");
}

pub(crate) async fn talks_without_a_login_on_a_public_route(language: Language) {
    let route = "[[route]]\npath = \"/\"\nservice = \"echo\"\npublic = true";
    let server = ServerProcess::start_with(route).await;
    let mut program = Program::start(language, &server.url(), "").await;
    assert_eq!(program.message().await, echoed("hello"));
}

pub(crate) async fn logs_in_with_the_url(language: Language) {
    let server = ServerProcess::start_with("[login]\nbasic = \"required\"").await;
    let url = format!("ws://admin:123456@{}", server.address);
    let mut program = Program::start(language, &url, "").await;
    assert_eq!(program.message().await, echoed("hello"));
}

/// Makes a test of each case for the program in Rust, which needs nothing to be installed.
macro_rules! tests_in_rust {
    ($($case:ident)+) => {
        mod rust {
            $(
                #[tokio::test]
                async fn $case() {
                    super::$case(super::Language::Rust).await;
                }
            )+
        }
    };
}

tests_in_rust! {
    follows_the_close_codes
    stops_at_a_refused_login
    stops_at_a_refused_handshake
    waits_longer_than_a_full_server_says
    talks_without_a_login_on_a_public_route
}

#[test]
fn rust_program_is_the_one_that_is_compiled() {
    let source = fs::read_to_string(root().join("tests/src/own_client.rs")).unwrap();
    let (_, program) = source.split_once("\n\nuse ").unwrap();
    assert_eq!(block("rust"), format!("use {program}"));
}

#[test]
fn close_table_has_each_code_and_its_retry() {
    let page = page();
    let (_, section) = page
        .split_once("\n## When the connection closes\n")
        .unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let rows: Vec<Vec<&str>> = section
        .lines()
        .map(|line| line.split('|').map(str::trim).collect())
        .filter(|row: &Vec<&str>| row.len() == 6)
        .collect();
    let in_table = (1000..5000).filter(|&code| CloseCode(code).is_in_table());
    assert_eq!(rows.len(), in_table.clone().count() + 2);
    for code in in_table {
        let number = code.to_string();
        let mut of_code = rows.iter().filter(|row| row[1] == number);
        let row = of_code.next().unwrap_or_else(|| panic!("{code}"));
        assert_eq!(of_code.next(), None, "{code}");
        let what = match CloseCode(code).retry() {
            Retry::No => "stop",
            Retry::Now => "reconnect at once",
            Retry::Jitter => "reconnect after a random pause",
            Retry::BackOff => "reconnect with back-off",
        };
        assert!(row[4].starts_with(what), "{code}: {row:?}");
        for reason in CloseReason::ALL {
            let quoted = format!("`{reason}`");
            assert_eq!(
                row[3].contains(&quoted),
                reason.code() == CloseCode(code),
                "{code}: {quoted}"
            );
        }
    }
}

#[test]
fn programs_retry_the_codes_of_the_table() {
    let codes: Vec<String> = (1000..5000)
        .filter(|&code| CloseCode(code).retry() != Retry::No)
        .map(|code| code.to_string())
        .collect();
    let codes = codes.join(", ");
    for language in ["python", "js", "html", "rust"] {
        assert!(block(language).contains(&codes), "{language}: {codes}");
    }
}
