//! The client at a terminal.

use integration_tests::{
    CREDENTIALS_PROMPT, MESSAGE_PROMPT, SESSION_ENDED, SORRY, ServerProcess, Terminal,
    client_binary, echoed,
};
use proto::close::CloseReason;
use rustix::process::Signal;

/// Starts a client, logs in, and waits for the message prompt.
async fn logged_in_terminal(server: &ServerProcess) -> Terminal {
    let mut terminal = Terminal::spawn(&client_binary(), &[&server.url()]);
    terminal.expect(CREDENTIALS_PROMPT.trim_end()).await;
    terminal.type_text("admin:123456\r").await;
    terminal.expect(MESSAGE_PROMPT.trim_end()).await;
    terminal
}

#[tokio::test]
async fn password_is_never_written_to_the_terminal() {
    let server = ServerProcess::start().await;
    let mut terminal = Terminal::spawn(&client_binary(), &[&server.url()]);
    terminal.expect(CREDENTIALS_PROMPT.trim_end()).await;
    // The password is typed, corrected, edited and pasted.
    terminal.type_text("admin:canary\x7f\x7fry").await;
    terminal.expect("admin:******").await;
    terminal.type_text("\x1b[D\x1b[D\x1b[H\x1b[F").await;
    terminal.type_text("\x1b[200~-canary\x1b[201~").await;
    terminal.expect("admin:*************").await;
    // No key of the line editor recalls it.
    terminal.type_text("\r").await;
    terminal.expect(SORRY).await;
    terminal.type_text("\x1b[A\x12canary\x07\x15").await;
    terminal.type_text("admin:123456\r").await;
    terminal.expect(MESSAGE_PROMPT.trim_end()).await;
    terminal.type_text("\x1b[A\x1b[A").await;
    terminal.type_text("\x15exit\r").await;
    assert_eq!(terminal.finish().await, Some(0));
    let written = terminal.written();
    for secret in ["canary", "anary", "123456", "23456"] {
        assert!(
            !written.contains(secret),
            "{secret:?} was written: {written:?}"
        );
    }
}

/// Input during an exchange belongs to the next prompt, and may be a password.
#[tokio::test]
async fn typed_ahead_lines_are_hidden_and_sent() {
    let server = ServerProcess::start().await;
    let mut terminal = Terminal::spawn(&client_binary(), &[&server.url()]);
    terminal.expect(CREDENTIALS_PROMPT.trim_end()).await;
    terminal
        .type_text("admin:wrong\radmin:123456\rtyped ahead\r")
        .await;
    terminal.expect(&echoed("typed ahead")).await;
    assert!(!terminal.echoes(), "the terminal does not echo");
    let written = terminal.written();
    for secret in ["admin:wrong", "123456"] {
        assert!(
            !written.contains(secret),
            "{secret:?} was written: {written:?}"
        );
    }
    terminal.type_text("exit\r").await;
    assert_eq!(terminal.finish().await, Some(0));
}

/// Users type while cargo still builds the client.
#[tokio::test]
async fn lines_typed_before_the_start_are_sent() {
    let server = ServerProcess::start().await;
    let script = "read go; \"$0\" \"$1\"";
    let mut terminal = Terminal::spawn("sh", &["-c", script, &client_binary(), &server.url()]);
    terminal
        .type_text("go\radmin:wrong\radmin:123456\rtyped ahead\rhalf a li")
        .await;
    terminal.expect(&echoed("typed ahead")).await;
    terminal.expect(&format!("{MESSAGE_PROMPT}half a li")).await;
    terminal.type_text("ne\r").await;
    terminal.expect(&echoed("half a line")).await;
    terminal.type_text("exit\r").await;
    assert_eq!(terminal.finish().await, Some(0));
}

#[tokio::test]
async fn reply_is_printed_above_the_edited_line() {
    let server = ServerProcess::start().await;
    let mut terminal = logged_in_terminal(&server).await;
    terminal.type_text("first\rhalf a li").await;
    terminal.expect(&echoed("first")).await;
    terminal.expect(&format!("{MESSAGE_PROMPT}half a li")).await;
    terminal.type_text("ne\r").await;
    terminal.expect(&echoed("half a line")).await;
    let screen = terminal.contents();
    let answer = screen.find(&echoed("first")).unwrap();
    let line = screen
        .find(&format!("{MESSAGE_PROMPT}half a line"))
        .unwrap();
    assert!(answer < line, "{screen}");
}

#[tokio::test]
async fn arrow_up_recalls_a_line() {
    let server = ServerProcess::start().await;
    let mut terminal = logged_in_terminal(&server).await;
    terminal.type_text("once\r").await;
    terminal.expect(&echoed("once")).await;
    terminal.type_text("\x1b[A and twice\r").await;
    terminal.expect(&echoed("once and twice")).await;
}

#[tokio::test]
async fn control_characters_are_escaped() {
    let server =
        ServerProcess::start_with("[echo]\nprefix = \"\\u001b[2J\\u001b]0;title\\u0007\\u202e\"")
            .await;
    let mut terminal = logged_in_terminal(&server).await;
    terminal.type_text("hello\r").await;
    terminal
        .expect("\\u{1b}[2J\\u{1b}]0;title\\u{7}\\u{202e}hello")
        .await;
    assert!(!terminal.written().contains("\x1b[2J\x1b]0;"));
}

#[tokio::test]
async fn shutdown_while_typing_is_reported() {
    let server = ServerProcess::start().await;
    let mut terminal = logged_in_terminal(&server).await;
    terminal.type_text("half a li").await;
    terminal.expect("half a li").await;
    server.signal(Signal::TERM);
    terminal.expect("1001").await;
    terminal
        .expect(&CloseReason::ShuttingDown { back_in: 2 }.text())
        .await;
    assert_eq!(terminal.finish().await, Some(8));
}

#[tokio::test]
async fn lost_connection_while_typing_is_reported() {
    let server = ServerProcess::start().await;
    let mut terminal = Terminal::spawn(&client_binary(), &[&server.url()]);
    terminal.expect(CREDENTIALS_PROMPT.trim_end()).await;
    terminal.type_text("admi").await;
    terminal.expect("admi").await;
    server.signal(Signal::KILL);
    terminal
        .expect_screen("the loss", |screen| screen.to_lowercase().contains("lost"))
        .await;
    assert_eq!(terminal.finish().await, Some(8));
}

#[tokio::test]
async fn ctrl_d_and_ctrl_c_close_with_1000() {
    for (key, code) in [("\x04", 0), ("\x03", 130)] {
        let mut server = ServerProcess::start().await;
        let mut terminal = logged_in_terminal(&server).await;
        terminal.type_text(key).await;
        assert_eq!(terminal.finish().await, Some(code));
        let ended = server.log_line(SESSION_ENDED).await;
        assert!(ended.contains("code=1000"), "{ended}");
    }
}

/// The shell must find the terminal modes unchanged after each ending.
#[tokio::test]
async fn terminal_modes_are_restored_after_each_ending() {
    for (typed, signal) in [
        ("admin:123456\rexit\r", None),
        ("\x04", None),
        ("\x03", None),
        ("admin:123456\r\x03", None),
        ("admin:123456\rhalf a li", Some(Signal::TERM)),
        ("adm", Some(Signal::KILL)),
    ] {
        let server = ServerProcess::start().await;
        // Ctrl-C may also reach the shell, whose trap ignores it. The final `read` keeps the shell
        // alive: when it exits, Linux drops unread terminal output.
        let script = "trap : INT; stty -g; \"$0\" \"$1\"; echo; stty -g; echo done; read -r line";
        let mut terminal = Terminal::spawn("sh", &["-c", script, &client_binary(), &server.url()]);
        terminal.expect(CREDENTIALS_PROMPT.trim_end()).await;
        terminal.type_text(typed).await;
        if let Some(signal) = signal {
            terminal.expect(&typed[typed.len() - 3..]).await;
            server.signal(signal);
        }
        terminal.expect("done").await;
        let written = terminal.written();
        let modes: Vec<&str> = written
            .split(['\r', '\n'])
            .filter(|line| line.matches(':').count() > 20)
            .collect();
        assert_eq!(modes.len(), 2, "{written:?}");
        assert_eq!(modes[0], modes[1], "after {typed:?} and {signal:?}");
    }
}
