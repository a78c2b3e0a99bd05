//! The sources of the client's credentials.

use std::{fs, path::PathBuf};

use futures::{SinkExt as _, StreamExt as _};
use integration_tests::{
    CREDENTIALS_REFUSED, SESSION_OPENED, ServerProcess, Terminal, client, client_binary, echoed,
    echoed_lines, run,
};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_tungstenite::{
    accept_hdr_async,
    tungstenite::handshake::server::{Request, Response},
};

/// Both methods that send a name and a password.
const METHODS: [&str; 2] = ["message", "basic"];

#[tokio::test]
async fn first_line_of_stdin_is_the_password() {
    let server = ServerProcess::start().await;
    for auth in METHODS {
        let url = server.url();
        let arguments = [&url, "-u", "admin", "--password-stdin", "--auth", auth];
        let finished = run(client(arguments), "123456\r\nhello\n123456\n").await;
        assert_eq!(finished.code, Some(0), "{finished:?}");
        assert_eq!(finished.stdout(), echoed_lines(["hello", "123456"]));
        // The line behind a refused password is no other guess.
        let finished = run(client(arguments), "1\n123456\nhello\n").await;
        assert_eq!(finished.code, Some(3), "{finished:?}");
        assert_eq!(finished.stdout(), "");
        let unsent = "2 lines were not sent";
        assert!(finished.stderr.contains(unsent), "{}", finished.stderr);
    }
    let url = server.url();
    let finished = run(client([&url, "-u", "admin", "--password-stdin"]), "").await;
    assert_eq!(finished.code, Some(3), "{finished:?}");
    let finished = run(client([&url, "-u", "admin", "--password-stdin"]), "\n").await;
    assert_eq!(finished.code, Some(2), "{finished:?}");
}

#[tokio::test]
async fn first_line_of_a_command_is_the_password() {
    let server = ServerProcess::start().await;
    let url = server.url();
    for auth in METHODS {
        let command = "printf '123456\\nmore\\n'";
        let arguments = [
            &url,
            "-u",
            "admin",
            "--auth",
            auth,
            "--password-command",
            command,
        ];
        let finished = run(client(arguments), "hello\n").await;
        assert_eq!(finished.code, Some(0), "{finished:?}");
        assert_eq!(finished.stdout(), echoed_lines(["hello"]));
    }
    // There is no shell that would expand the words.
    let arguments = [&url, "-u", "admin", "--password-command", "printf $HOME"];
    let finished = run(client(arguments), "never sent\n").await;
    assert_eq!(finished.code, Some(3), "{finished:?}");
    let arguments = [&url, "-u", "admin", "--password-command", "sh -c 'exit 3'"];
    let finished = run(client(arguments), "never sent\n").await;
    assert_eq!(finished.code, Some(2), "{finished:?}");
    assert_eq!(
        finished.stderr,
        "ws-client: the password command supplied no password: it failed: exit status: 3\n"
    );
}

/// Another person may have written the file of the current directory.
#[tokio::test]
async fn default_file_cannot_run_a_command() {
    let server = ServerProcess::start().await;
    let directory = TempDir::new().unwrap();
    let at = |name: &str| directory.path().join(name);
    fs::create_dir(at("config")).unwrap();
    let source = format!(
        "url = \"{}\"\n[login]\nuser = \"admin\"\npassword_command = \"touch ran\"\n",
        server.url()
    );
    fs::write(at("config/client.toml"), source).unwrap();
    let mut command = client([] as [&str; 0]);
    command.current_dir(directory.path());
    let finished = run(command, "hello\n").await;
    assert_eq!(finished.code, Some(2), "{finished:?}");
    assert!(!at("ran").exists());
    let mut command = client(["--config", "config/client.toml"]);
    command.current_dir(directory.path());
    let finished = run(command, "hello\n").await;
    // The command is run, and prints no password.
    assert_eq!(finished.code, Some(2), "{finished:?}");
    assert!(at("ran").exists());
}

#[tokio::test]
async fn command_answers_in_place_of_a_person() {
    let mut server = ServerProcess::start().await;
    let url = server.url();
    let arguments = [&url, "-u", "admin", "--password-command", "echo 123456"];
    let mut terminal = Terminal::spawn(&client_binary(), &arguments);
    server.log_line(SESSION_OPENED).await;
    terminal.type_text("hello\r").await;
    terminal.expect(&echoed("hello")).await;
}

/// Returns a directory with a file that holds a token.
fn token_file() -> (TempDir, PathBuf) {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("token");
    fs::write(&path, "some.token\n").unwrap();
    (directory, path)
}

#[tokio::test]
async fn refused_bearer_token_exits_with_3() {
    let server = ServerProcess::start_with("[login]\nbasic = \"required\"").await;
    let (_directory, token) = token_file();
    let url = server.url();
    let arguments = [&url, "--bearer-file", token.to_str().unwrap()];
    let finished = run(client(arguments), "hello\n").await;
    assert_eq!(finished.code, Some(3), "{finished:?}");
    let stderr = finished.stderr;
    assert!(stderr.contains(CREDENTIALS_REFUSED), "{stderr}");
    assert!(!stderr.contains("some.token"), "{stderr}");
}

/// Accepts a connection, and returns the `Authorization` field of its request. Echoes one message.
#[expect(
    clippy::result_large_err,
    reason = "the library defines the type of the callback"
)]
async fn authorization_of(listener: TcpListener) -> String {
    let (stream, _) = listener.accept().await.unwrap();
    let mut found = String::new();
    let note = |request: &Request, response: Response| {
        let field = request.headers().get("Authorization");
        found = field.unwrap().to_str().unwrap().to_owned();
        Ok(response)
    };
    let mut socket = accept_hdr_async(stream, note).await.unwrap();
    let message = socket.next().await.unwrap().unwrap();
    socket.send(message).await.unwrap();
    while let Some(Ok(_)) = socket.next().await {}
    found
}

#[tokio::test]
async fn open_connection_is_the_login_by_token() {
    let (_directory, token) = token_file();
    for auth in [&[][..], &["--auth", "bearer"]] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}", listener.local_addr().unwrap());
        let arguments = [&[&url, "--bearer-file", token.to_str().unwrap()], auth].concat();
        let (finished, field) = tokio::join!(
            run(client(arguments), "hello\n"),
            authorization_of(listener)
        );
        assert_eq!(finished.code, Some(0), "{finished:?}");
        assert_eq!(finished.stdout(), "hello\n");
        assert_eq!(field, "Bearer some.token");
    }
}
