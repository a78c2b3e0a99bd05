//! Configuration errors: the program does not start, and prints one message that says what to do.

use std::fs;

use integration_tests::{
    ProcessOutput, ServerProcess, client, client_binary, fixture, run, server_binary, users_of_file,
};
use tempfile::TempDir;
use tokio::process::Command;

/// Runs a server that fails to start, in a directory with these files.
async fn server_in(files: &[(&str, &str)], arguments: &[&str]) -> (ProcessOutput, TempDir) {
    let directory = TempDir::new().unwrap();
    for (name, content) in files {
        fs::write(directory.path().join(name), content).unwrap();
    }
    let mut command = Command::new(server_binary());
    command.args(arguments).current_dir(directory.path());
    (run(command, "").await, directory)
}

/// Runs a server that fails to start, and returns its error message.
async fn start_error(files: &[(&str, &str)], arguments: &[&str]) -> String {
    let (finished, _directory) = server_in(files, arguments).await;
    assert_eq!(finished.code, Some(2), "{finished:?}");
    assert_eq!(finished.stdout(), "");
    assert_eq!(
        finished.stderr.lines().count(),
        1,
        "one message: {}",
        finished.stderr
    );
    finished.stderr
}

const ADMIN: &str = "[[user]]\nname = \"admin\"\npassword = \"123456\"\n";

#[tokio::test]
async fn missing_configuration_error_says_what_to_do() {
    assert_eq!(
        start_error(&[], &[]).await,
        "ws-server: there is no config/server.toml in this directory: start the server where it \
         is, or name a configuration with --config FILE\n"
    );
    assert_eq!(
        start_error(&[], &["--config", "none.toml"]).await,
        "ws-server: cannot read none.toml: No such file or directory (os error 2)\n"
    );
}

#[tokio::test]
async fn mistake_is_reported_with_file_line_and_key() {
    assert_eq!(
        start_error(
            &[("s.toml", "# comment\nlisen = \"x\"\n")],
            &["--config", "s.toml"]
        )
        .await,
        "ws-server: s.toml: line 2: `lisen`: unknown key `lisen`; did you mean `listen`?\n"
    );
    assert_eq!(
        start_error(&[("s.toml", "listen = \n")], &["--config", "s.toml"]).await,
        "ws-server: s.toml: line 1: write a text in quotes; numbers, true and false have \
         none\n"
    );
}

#[tokio::test]
async fn unusable_accounts_error_hides_passwords() {
    let configuration = ("s.toml", "credentials = \"users.toml\"\n");
    assert_eq!(
        start_error(&[configuration], &["--config", "s.toml"]).await,
        "ws-server: cannot read users.toml: No such file or directory (os error 2)\n"
    );
    let users = "[[user]]\nname = \"admin\"\npassword = 987654\n";
    let files = [configuration, ("users.toml", users)];
    assert_eq!(
        start_error(&files, &["--config", "s.toml"]).await,
        "ws-server: users.toml: line 3: `user.password`: a secret must be a string in quotes\n"
    );
}

#[tokio::test]
async fn address_in_use_error_says_what_to_do() {
    let server = ServerProcess::start().await;
    let address = server.address.to_string();
    let configuration = fixture("server.toml");
    let configuration = configuration.to_str().unwrap();
    let (finished, _directory) =
        server_in(&[], &["--config", configuration, "--listen", &address]).await;
    assert_eq!(finished.code, Some(2));
    assert_eq!(finished.stdout(), "");
    let expected = format!(
        "ws-server: cannot listen on {address}: choose another with --listen: Address already in \
         use (os error 98)\n"
    );
    assert!(finished.stderr.ends_with(&expected), "{}", finished.stderr);
}

#[tokio::test]
async fn invalid_arguments_exit_with_2() {
    for arguments in [
        &["--listen", "nowhere"][..],
        &["--password", "x"],
        &["extra"],
    ] {
        let (finished, _directory) = server_in(&[], arguments).await;
        assert_eq!(finished.code, Some(2), "{finished:?}");
        assert_eq!(finished.stdout(), "");
        assert!(
            finished.stderr.starts_with("error: "),
            "{}",
            finished.stderr
        );
    }
}

#[tokio::test]
async fn check_config_prints_no_password() {
    let files = [
        ("s.toml", "[echo]\nprefix = \"> \"\n"),
        ("credentials.toml", ADMIN),
    ];
    let (finished, _directory) = server_in(&files, &["--config", "s.toml", "--check-config"]).await;
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert_eq!(finished.stderr, "");
    let printed = finished.stdout();
    assert!(
        printed.starts_with("listen = \"127.0.0.1:5678\"\n"),
        "{printed}"
    );
    assert!(
        printed.contains("\nmax_message_bytes = \"1MiB\"\n"),
        "{printed}"
    );
    assert!(printed.contains("\n[echo]\nprefix = \"> \"\n"), "{printed}");
    assert!(printed.ends_with(&format!(
        "\n# {}",
        users_of_file("credentials.toml", "admin")
    )));
    assert!(!printed.contains("123456"), "{printed}");
}

/// A service manager passes the accounts in its own directory.
#[tokio::test]
async fn credentials_argument_overrides_the_configuration() {
    let configuration = ("s.toml", "credentials = \"configured.toml\"\n");
    let arguments = ["--config", "s.toml", "--credentials", "named.toml"];
    assert_eq!(
        start_error(&[configuration, ("configured.toml", ADMIN)], &arguments).await,
        "ws-server: cannot read named.toml: No such file or directory (os error 2)\n"
    );
    assert_eq!(
        start_error(&[configuration, ("named.toml", "")], &arguments).await,
        "ws-server: named.toml: there are no users: write [[user]] with a name and a password_hash \
         for each account\n"
    );
    let files = [configuration, ("named.toml", ADMIN)];
    let arguments = [&arguments[..], &["--check-config"]].concat();
    let (finished, _directory) = server_in(&files, &arguments).await;
    assert_eq!(finished.code, Some(0), "{finished:?}");
    let printed = finished.stdout();
    assert!(
        printed.contains("\ncredentials = \"named.toml\"\n"),
        "{printed}"
    );
    assert!(
        printed.ends_with(&format!("\n# {}", users_of_file("named.toml", "admin"))),
        "{printed}"
    );
}

#[tokio::test]
async fn version_and_help_are_printed_by_both_programs() {
    for program in [server_binary(), client_binary()] {
        let mut command = Command::new(&program);
        command.arg("--version");
        let finished = run(command, "").await;
        assert_eq!(finished.code, Some(0));
        assert!(
            finished
                .stdout()
                .ends_with(concat!(" ", env!("CARGO_PKG_VERSION"), "\n"))
        );
        let mut command = Command::new(program);
        command.arg("--help");
        let finished = run(command, "").await;
        assert_eq!(finished.code, Some(0));
        assert!(
            finished.stdout().contains("Exit codes:"),
            "{}",
            finished.stdout()
        );
    }
}

#[tokio::test]
async fn client_configuration_error_exits_with_2() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("c.toml");
    fs::write(&path, "url = \"ws://localhost\"\nlingre = \"1s\"\n").unwrap();
    let path = path.to_str().unwrap();
    for (arguments, parts) in [
        (
            vec!["--config", path],
            vec![path, "line 2", "`lingre`", "did you mean `linger`?"],
        ),
        (
            vec!["--config", "none.toml"],
            vec!["none.toml", "No such file or directory"],
        ),
    ] {
        let finished = run(client(&arguments), "").await;
        assert_eq!(finished.code, Some(2), "{arguments:?}: {finished:?}");
        assert_eq!(finished.stdout(), "");
        for part in parts {
            assert!(
                finished.stderr.contains(part),
                "{arguments:?}: {}",
                finished.stderr
            );
        }
        assert!(!finished.stderr.contains("987654"), "{}", finished.stderr);
    }
}
