//! `ws-server hash-password`, in a pipe and at a terminal.

use std::time::SystemTime;

use integration_tests::{ProcessOutput, Terminal, run, server_binary};
use proto::{credentials::Accounts, message::Credentials, password::HashMemory};
use tokio::process::Command;

const FIRST_PROMPT: &str = "password:";
const SECOND_PROMPT: &str = "repeat the password:";

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(server_binary());
    command.args(arguments);
    command
}

async fn piped(stdin: &[u8]) -> ProcessOutput {
    run(command(&["hash-password"]), stdin).await
}

fn at_terminal() -> Terminal {
    Terminal::spawn(&server_binary(), &["hash-password"])
}

/// Returns whether an account with this line accepts the password.
fn verifies(line: &str, password: &str) -> bool {
    let accounts = Accounts::from_toml(&format!("[[user]]\nname = \"u\"\n{line}")).unwrap();
    let credentials = Credentials::parse(&format!("u:{password}")).unwrap();
    accounts
        .verify(
            &credentials,
            SystemTime::UNIX_EPOCH,
            &mut HashMemory::default(),
        )
        .is_ok()
}

/// Returns the only `password_hash` line of the output.
fn printed_line(written: &str) -> &str {
    let mut lines = written
        .lines()
        .filter(|line| line.starts_with("password_hash"));
    let line = lines.next().expect("a line is printed");
    assert_eq!(lines.next(), None, "{written:?}");
    line
}

#[tokio::test]
async fn piped_password_prints_only_the_hash_line() {
    let finished = piped(b"canary:x \nignored\n").await;
    assert_eq!(finished.code, Some(0), "{finished:?}");
    let stdout = finished.stdout();
    let start = "password_hash = \"$argon2id$v=19$m=19456,t=2,p=1$";
    assert!(stdout.starts_with(start), "{stdout:?}");
    assert!(stdout.ends_with("\"\n"), "{stdout:?}");
    assert_eq!(stdout.lines().count(), 1, "{stdout:?}");
    assert!(verifies(stdout, "canary:x "));
    assert!(!verifies(stdout, "canary:x"));
    assert_eq!(
        finished.stderr,
        "put this line into the [[user]] entry of the credentials file, in place of its \
         `password` or older `password_hash`:\n"
    );
    let again = piped(b"canary:x \n").await;
    assert_ne!(again.stdout(), stdout, "each hash has its own salt");
}

#[tokio::test]
async fn empty_or_non_utf8_password_is_rejected() {
    for (stdin, message) in [
        (
            &b""[..],
            "the password is empty: enter it at the terminal, or as one line of stdin",
        ),
        (
            b"\xff\n",
            "the password is not UTF-8: a login cannot contain it",
        ),
    ] {
        let finished = piped(stdin).await;
        assert_eq!(finished.code, Some(2), "{finished:?}");
        assert_eq!(finished.stdout(), "");
        assert_eq!(finished.stderr, format!("ws-server: {message}\n"));
    }
}

#[tokio::test]
async fn terminal_prompts_twice_without_echo() {
    let mut terminal = at_terminal();
    for prompt in [FIRST_PROMPT, SECOND_PROMPT] {
        terminal.expect(prompt).await;
        assert!(!terminal.echoes());
        // The password is typed and corrected.
        terminal
            .type_text("cannary\x7f\x7f\x7f\x7f\x7fnary\r")
            .await;
    }
    assert_eq!(terminal.finish().await, Some(0));
    let written = terminal.written();
    assert!(verifies(printed_line(&written), "canary"), "{written:?}");
    assert!(!written.contains("nary"), "{written:?}");
    let lines: Vec<&str> = written.lines().map(str::trim_end).collect();
    assert_eq!(lines[..2], [FIRST_PROMPT, SECOND_PROMPT], "{written:?}");
}

#[tokio::test]
async fn empty_answer_exits_with_2() {
    for typed in ["\r", "\x04"] {
        let mut terminal = at_terminal();
        terminal.expect(FIRST_PROMPT).await;
        terminal.type_text(typed).await;
        assert_eq!(terminal.finish().await, Some(2));
        let screen = terminal.contents();
        assert!(screen.contains("the password is empty"), "{screen}");
    }
}

/// The shell must find the terminal modes unchanged after each ending.
#[tokio::test]
async fn terminal_modes_are_restored_after_hash_password() {
    for (answers, code) in [
        (&["canary\r", "canary\r"][..], 0),
        (&["\r"], 2),
        (&["\x03"], 130),
        (&["canary\x03"], 130),
        (&["canary\r", "\x03"], 130),
    ] {
        // Ctrl-C also reaches the shell, whose trap ignores it. The final `read` keeps the shell
        // alive: when it exits, Linux drops unread terminal output.
        let script = "trap : INT; stty -g; \"$0\" hash-password; echo \"code $?\"; stty -g; \
                      echo done; read -r line";
        let mut terminal = Terminal::spawn("sh", &["-c", script, &server_binary()]);
        for (answer, prompt) in answers.iter().zip([FIRST_PROMPT, SECOND_PROMPT]) {
            terminal.expect(prompt).await;
            terminal.type_text(answer).await;
        }
        terminal.expect("done").await;
        let written = terminal.written();
        assert!(written.contains(&format!("code {code}\r\n")), "{written:?}");
        assert!(!written.contains("canary"), "{written:?}");
        let modes: Vec<&str> = written
            .lines()
            .filter(|line| line.matches(':').count() > 20)
            .collect();
        assert_eq!(modes.len(), 2, "{written:?}");
        assert_eq!(modes[0], modes[1], "after {answers:?}");
    }
}

#[tokio::test]
async fn hash_password_takes_no_server_options() {
    for arguments in [
        &["--config", "s.toml", "hash-password"][..],
        &["hash-password", "--listen", "127.0.0.1:0"],
        &["hash-password", "secret"],
    ] {
        let finished = run(command(arguments), "secret\n").await;
        assert_eq!(finished.code, Some(2), "{finished:?}");
        assert_eq!(finished.stdout(), "");
    }
    let help = run(command(&["--help"]), "").await;
    for explained in ["hash-password  Read a password", "--config <FILE>"] {
        assert!(help.stdout().contains(explained), "{help:?}");
    }
}
