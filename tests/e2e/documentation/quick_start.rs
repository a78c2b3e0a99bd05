//! The quick start in the README.

use integration_tests::{
    CONFIGURATION, ServerProcess, Terminal, client_binary, fixtures, run, shipped,
};
use tokio::process::Command;

use super::{examples::examples, pages::Page};

/// The longest README: one page.
const MAX_LINES: usize = 150;

/// Returns the output that the README shows for a command.
fn shown(command: &str) -> String {
    let examples = examples(&Page::read("README.md")).into_iter();
    let mut found = examples.filter(|example| example.command == command);
    let example = found.next();
    example
        .unwrap_or_else(|| panic!("{command} is not in the README"))
        .output
}

#[test]
fn readme_is_one_page_and_begins_with_the_dialogue() {
    let page = Page::read("README.md");
    let lines: Vec<_> = page.text.lines().collect();
    assert!(lines.len() <= MAX_LINES, "{}", lines.len());
    let dialogue = lines
        .iter()
        .position(|line| line.starts_with("your submit context: "));
    assert!(dialogue.is_some_and(|line| line < 30), "{dialogue:?}");
}

#[tokio::test]
async fn dialogue_reads_as_shown() {
    let server = ServerProcess::start().await;
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
    let shown = shown("cargo run -p ws-client");
    assert_eq!(lines, shown.lines().collect::<Vec<_>>());
}

/// With the shipped configuration and the shipped account, as a user has them.
#[tokio::test]
#[ignore = "needs config/ as it is checked in"]
async fn shipped_configuration_serves_the_quick_start() {
    const COMMAND: &str =
        "printf 'admin:123456\\nhello\\nworld\\n' | cargo run -q -p ws-client 2>/dev/null";
    let server = ServerProcess::spawn(ServerProcess::command(&shipped(CONFIGURATION))).await;
    let client = format!("'{}' {}", client_binary(), server.url());
    let mut command = Command::new("sh");
    command.args(["-c", &COMMAND.replace("cargo run -q -p ws-client", &client)]);
    command.current_dir(fixtures());
    let finished = run(command, "").await;
    assert_eq!(finished.stdout(), shown(COMMAND), "{finished:?}");
}
