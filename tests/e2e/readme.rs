//! The commands of the README, run as they stand there, and what they print compared with it.

use std::fs;

use integration_tests::{
    CONFIGURATION, Server, Terminal, Way, client_binary, echo, fixture, fixtures, root, run,
    server_binary, shipped,
};
use tempfile::TempDir;
use tokio::process::Command;

/// Where the README's server listens. Here it listens on a free port instead.
const README_URL: &str = "ws://127.0.0.1:5678";

/// Where it is said how the server becomes a service.
const DEPLOYMENT: &str = "config/deploy/README.md";

/// A command that the README shows, and the output below it.
struct Example {
    command: String,
    output: String,
}

/// The examples in the README, in order.
fn examples() -> Vec<Example> {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let mut examples: Vec<Example> = Vec::new();
    let blocks = readme.split("```console\n").skip(1);
    for block in blocks.map(|block| block.split("```").next().unwrap()) {
        for line in block.lines() {
            if let Some(command) = line.strip_prefix("$ ") {
                examples.push(Example {
                    command: command.into(),
                    output: String::new(),
                });
            } else {
                let example = examples.last_mut().expect("a block begins with a command");
                example.output.push_str(line);
                example.output.push('\n');
            }
        }
    }
    examples
}

/// The one example whose command begins like this.
fn example(command: &str) -> Example {
    let mut found = examples()
        .into_iter()
        .filter(|example| example.command.starts_with(command));
    let example = found
        .next()
        .unwrap_or_else(|| panic!("{command} is not in the README"));
    assert!(found.next().is_none(), "{command} is in the README twice");
    example
}

/// Runs an example as the shell would, with the binary under test in place of cargo.
async fn output_of(example: &Example, url: &str) -> String {
    let client = client_binary();
    let script = example
        .command
        .replace("cargo run -q -p ws-client", &format!("'{client}'"));
    let script = if script.contains(README_URL) {
        script.replace(README_URL, url)
    } else {
        script.replace(&format!("'{client}'"), &format!("'{client}' {url}"))
    };
    let mut command = Command::new("sh");
    command.args(["-c", &script]).current_dir(fixtures());
    let finished = run(command, "").await;
    assert_eq!(finished.code, Some(0), "{}: {finished:?}", example.command);
    finished
        .stdout()
        .replace(url.trim_start_matches("ws://"), "127.0.0.1:5678")
}

#[test]
fn every_command_is_one_that_is_run_here() {
    let commands: Vec<String> = examples()
        .into_iter()
        .map(|example| example.command)
        .collect();
    assert_eq!(
        commands,
        [
            "cargo run -p ws-server",
            "cargo run -p ws-client",
            "printf 'admin:123456\\nhello\\nworld\\n' | cargo run -q -p ws-client 2>/dev/null",
            "cargo run -q -p ws-client handshake ws://127.0.0.1:5678",
            // What cargo does itself.
            "cargo install --path crates/ws-server",
            "cargo install --path crates/ws-client",
            "cargo test --workspace",
        ]
    );
}

#[test]
fn the_quick_start_comes_early() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let dialogue = readme
        .lines()
        .position(|line| line.starts_with("your submit context: "));
    assert!(dialogue.is_some_and(|line| line < 30), "{dialogue:?}");
}

#[test]
fn every_file_that_it_links_to_is_there() {
    for (readme, links) in [("README.md", 10), (DEPLOYMENT, 6)] {
        let readme = root().join(readme);
        let text = fs::read_to_string(&readme).unwrap();
        let targets = text
            .split("](")
            .skip(1)
            .map(|rest| rest.split(')').next().unwrap());
        let files: Vec<&str> = targets
            .filter(|target| !target.starts_with("https://"))
            .collect();
        assert!(files.len() >= links, "{files:?}");
        for file in files {
            assert!(readme.with_file_name(file).exists(), "{file} is not there");
        }
    }
}

/// The steps by which the server becomes a service, done below another root, up to those that are
/// systemd's.
#[tokio::test]
async fn the_steps_of_the_deployment_lead_to_a_server_that_lets_jane_in() {
    let readme = fs::read_to_string(root().join(DEPLOYMENT)).unwrap();
    let (_, steps) = readme.split_once("```sh\n").unwrap();
    let (steps, systemd) = steps.split_once("systemctl").unwrap();
    assert!(systemd.starts_with(" daemon-reload\n"), "{systemd}");
    let scratch = TempDir::new().unwrap();
    for directory in ["usr/local/bin", "etc/systemd/system"] {
        fs::create_dir_all(scratch.path().join(directory)).unwrap();
    }
    let programs = scratch.path().join("usr/local/bin");
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let steps = steps
        .replace("cargo build --release -p ws-server\n", "")
        .replace("target/release/ws-server", &server_binary())
        .replace(
            "config/server.toml",
            fixture(CONFIGURATION).to_str().unwrap(),
        )
        .replace("/usr/", &format!("{}/usr/", scratch.path().display()))
        .replace("/etc/", &format!("{}/etc/", scratch.path().display()));
    let mut command = Command::new("sh");
    command
        .args(["-e", "-c", &steps])
        .env("PATH", path)
        .current_dir(root());
    let finished = run(command, "secret\n").await;
    assert_eq!(finished.code, Some(0), "{steps}{finished:?}");
    let holds = "credentials.toml holds 1 user: jane (passwords are not shown)\n";
    assert!(finished.stdout().ends_with(holds), "{finished:?}");

    let etc = scratch.path().join("etc");
    let unit = fs::read_to_string(etc.join("systemd/system/ws-server.service")).unwrap();
    let start = unit
        .lines()
        .find_map(|line| line.strip_prefix("ExecStart="));
    let start = start
        .unwrap()
        .replace("/usr/", &format!("{}/usr/", scratch.path().display()))
        .replace("/etc/", &format!("{}/", etc.display()))
        .replace("%d", &etc.join("ws-server").display().to_string());
    let mut arguments = start.split(' ');
    let mut command = Command::new(arguments.next().unwrap());
    command.args(arguments).args(["--listen", "127.0.0.1:0"]);
    let server = Server::spawn(command, None).await;
    echo(
        &mut Way::Basic.log_in(&server, "jane:secret").await,
        "hello",
    )
    .await;
}

#[tokio::test]
async fn the_server_says_where_it_listens() {
    let server = Server::start().await;
    let shown = example("cargo run -p ws-server").output;
    assert_eq!(
        shown.replace(README_URL, &server.url()),
        format!("listening on {}\n", server.url())
    );
}

#[tokio::test]
async fn the_dialogue_reads_as_it_is_shown() {
    let server = Server::start().await;
    let mut terminal = Terminal::spawn(&client_binary(), &[&server.url()]);
    for (prompt, typed) in [
        ("password: ", "admin:1\r"),
        (
            "again\nplease enter your username and password: ",
            "admin:123456\r",
        ),
        ("please enter your context: ", "hello\r"),
        ("hello\nplease enter your context: ", "exit\r"),
    ] {
        terminal.expect(prompt.trim_end()).await;
        terminal.type_text(typed).await;
    }
    assert_eq!(terminal.finish().await, Some(0));
    let lines = terminal.contents();
    let lines: Vec<&str> = lines.lines().map(str::trim_end).collect();
    let shown = example("cargo run -p ws-client").output;
    assert_eq!(lines, shown.lines().collect::<Vec<_>>());
}

#[tokio::test]
async fn the_pipeline_prints_what_is_shown() {
    let server = Server::start().await;
    let example = example("printf ");
    assert_eq!(output_of(&example, &server.url()).await, example.output);
}

#[tokio::test]
async fn the_handshake_prints_what_is_shown() {
    let server = Server::start().await;
    let example = example("cargo run -q -p ws-client handshake");
    let printed = output_of(&example, &server.url()).await;
    assert_eq!(without_chance(&printed), without_chance(&example.output));
}

/// Takes out what differs from handshake to handshake: what follows from the key, and the date.
fn without_chance(report: &str) -> String {
    let varies = [
        "Key:",
        "Accept:",
        "Date:",
        "key ",
        "one string ",
        "SHA-1 ",
        "base64 ",
    ];
    let lines = report.lines().map(|line| {
        let name = varies
            .iter()
            .find_map(|name| Some(line.find(name)? + name.len()));
        match name {
            Some(end) => format!("{}...\n", line[..end].trim_end()),
            None => format!("{line}\n"),
        }
    });
    lines.collect()
}

/// The quick start as a user has it: with the shipped configuration and the shipped account.
#[tokio::test]
#[ignore = "needs config/ as it is checked in"]
async fn shipped_configuration_serves_the_quick_start() {
    let command = Server::command(&shipped(CONFIGURATION));
    let server = Server::spawn(command, None).await;
    let example = example("printf ");
    assert_eq!(output_of(&example, &server.url()).await, example.output);
}
